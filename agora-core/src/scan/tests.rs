//! Tables for each pattern. Examples are put together from pieces, so that no scanner of a source host takes this file
//! for a leak.

use proptest::prelude::*;

use super::*;

fn found(text: &str) -> Vec<Pattern> {
    scan(text.as_bytes()).into_iter().map(|f| f.pattern).collect()
}

/// Letters and digits in an order that no other pattern knows.
fn body(length: usize) -> String {
    "Q7wErTy2Ui9Op4AsDf6GhJkL3ZxCvB8nM1".chars().cycle().take(length).collect()
}

fn upper(length: usize) -> String {
    "Q7WERTY2UI9OP4AS".chars().cycle().take(length).collect()
}

fn check(pattern: Pattern, yes: &[String], no: &[String]) {
    for text in yes {
        for wrapped in [text.clone(), format!("a\n  x = \"{text}\",\n"), format!("({text})"), format!("K_{text} ")] {
            assert!(found(&wrapped).contains(&pattern), "{pattern} in {wrapped:?}: {:?}", found(&wrapped));
        }
        for finding in scan(text.as_bytes()) {
            assert!(finding.shown.chars().count() <= SHOWN_CHARS_MAX, "{finding:?}");
        }
    }
    for text in no {
        assert!(!found(text).contains(&pattern), "{pattern} in {text:?}");
    }
}

#[test]
fn keys_of_amazon() {
    for (pattern, prefix) in
        [(Pattern::AwsAccessKey, ["AK", "IA"].concat()), (Pattern::AwsSessionKey, ["AS", "IA"].concat())]
    {
        check(
            pattern,
            &[format!("{prefix}{}", upper(16))],
            &[
                format!("{prefix}{}", upper(15)),
                format!("{prefix}{}", upper(17)),
                format!("X{prefix}{}", upper(16)),
                format!("{prefix}{}a", upper(15)),
                format!("{prefix}{}a", upper(16)),
            ],
        );
    }
    let (value, hex) = (body(40), "0123456789abcdef".chars().cycle().take(40).collect::<String>());
    check(
        Pattern::AwsSecretKey,
        &[
            format!("aws_secret_access_key = {value}"),
            format!("AWS_SECRET_ACCESS_KEY={value}"),
            format!("\"SecretAccessKey\": \"{value}\""),
            format!("<SecretAccessKey>{value}</SecretAccessKey>").replace("</", " </"),
            format!("set aws_secret_access_key '{value}'"),
            format!("secretKey := \"{}+/\"", body(38)),
        ],
        &[
            value.clone(),
            format!("commit {hex}"),
            format!("access_key = {value}"),
            format!("secret = {value}"),
            format!("aws_secret_access_key = {}", body(39)),
            format!("aws_secret_access_key = {}", body(41)),
            format!("aws_secret_access_key = {value}="),
            format!("aws_secret_access_key =\n{value}"),
        ],
    );
    let shown = &scan(format!("secret_key={value}").as_bytes())[0].shown;
    assert_eq!(shown.len(), 4, "all of it is secret, so less of it is shown");
}

#[test]
fn tokens_of_code_hosts() {
    let mut yes = vec![format!("{}{}", ["github", "_pat_"].concat(), body(60))];
    let mut no = vec![format!("{}{}", ["github", "_pat_"].concat(), body(59))];
    for kind in ["p", "o", "u", "s", "r"] {
        yes.push(format!("gh{kind}_{}", body(36)));
        yes.push(format!("gh{kind}_{}", body(40)));
        no.push(format!("gh{kind}_{}", body(35)));
        no.push(format!("agh{kind}_{}", body(36)));
        no.push(format!("gh{kind}-{}", body(36)));
    }
    no.push(format!("ghx_{}", body(36)));
    check(Pattern::GithubToken, &yes, &no);
    let prefix = ["gl", "pat-"].concat();
    check(
        Pattern::GitlabToken,
        &[format!("{prefix}{}", body(20)), format!("{prefix}{}_-", body(18))],
        &[format!("{prefix}{}", body(19)), format!("a{prefix}{}", body(20))],
    );
    let prefix = ["np", "m_"].concat();
    check(
        Pattern::NpmToken,
        &[format!("{prefix}{}", body(36))],
        &[format!("{prefix}{}", body(35)), "npm_config_registry=https://registry.example/package".into()],
    );
}

#[test]
fn tokens_of_the_web() {
    let part = |n| ["ey", "J", &body(n)].concat();
    check(
        Pattern::Jwt,
        &[format!("{}.{}.{}", part(1), part(1), "s"), format!("{}.{}.{}", part(30), part(200), body(43))],
        &[
            format!("{}.{}", part(30), part(30)),
            format!("{}.{}.", part(30), part(30)),
            format!("{}.{}.{}", part(30), body(30), body(30)),
            format!("{}.{}.{}", part(0), part(30), body(30)),
            format!("{}.{}.{}", part(30), part(0), body(30)),
            format!("a{}.{}.{}", part(30), part(30), body(30)),
        ],
    );
    check(
        Pattern::BearerPrefix,
        &[
            format!("Bearer {}", body(20)),
            format!("authorization: bearer {}==", body(18)),
            format!("Bearer {}.~+/-_", body(14)),
        ],
        &[
            format!("Bearer {}", body(19)),
            format!("Bearer  {}", body(20)),
            "Bearer $TOKEN and Bearer <your-token-goes-right-here>".into(),
            format!("Forbearer {}", body(20)),
            "the bearer of this message has a long walk ahead".into(),
        ],
    );
    let pass = body(12);
    check(
        Pattern::UrlPassword,
        &[
            format!("postgres://shop:{pass}@db.example/shop"),
            format!("redis://:{pass}@[::1]:6379"),
            format!("https://user:%41{pass}@host"),
            format!("amqp+ssl://u:{pass}@$HOST"),
            format!("https://u:{}@host", "p".repeat(URL_PART_BYTES_MAX - 1)),
        ],
        &[
            "https://example.org:8080/@scope/package".into(),
            "https://user@host/path".into(),
            "ssh://git@host:22/repo@v1".into(),
            format!("://user:{pass}@host"),
            format!("https://user:{pass}@"),
            format!("https://user:{pass} @host"),
            "https://user:@host".into(),
            "https://user:password@host".into(),
            "https://user:YOUR_PASSWORD@host".into(),
            "https://user:xxxxxx@host".into(),
            "https://user:***@host".into(),
            "https://user:${PASSWORD}@host".into(),
            "https://user:<password>@host".into(),
            "https://user:%PASSWORD%@host".into(),
            format!("https://u:{}@host", "p".repeat(URL_PART_BYTES_MAX)),
        ],
    );
}

#[test]
fn keys_of_services() {
    let (anthropic, openai) = (["sk", "-ant-"].concat(), ["sk", "-"].concat());
    check(
        Pattern::AnthropicKey,
        &[format!("{anthropic}{}", body(16)), format!("{anthropic}api03-{}", body(80))],
        &[format!("{anthropic}{}", body(15)), format!("a{anthropic}{}", body(16))],
    );
    check(
        Pattern::OpenaiKey,
        &[
            format!("{openai}{}", body(20)),
            format!("{openai}proj-{}", body(20)),
            format!("{openai}proj-{}_-", body(40)),
        ],
        &[
            format!("{openai}{}", body(19)),
            format!("{openai}proj-{}", body(19)),
            format!("{anthropic}{}", body(40)),
            format!("ri{openai}{}", body(20)),
            "task-scheduler-with-a-very-long-name".into(),
        ],
    );
    let prefix = ["AI", "za"].concat();
    check(
        Pattern::GoogleApiKey,
        &[format!("{prefix}{}", body(35)), format!("{prefix}{}_-", body(33))],
        &[format!("{prefix}{}", body(34)), format!("{prefix}{}", body(36)), format!("X{prefix}{}", body(35))],
    );
    let hook = ["hooks.slack", ".com/services/"].concat();
    let mut yes = vec![format!("https://{hook}T0/B0/{}", body(24))];
    let mut no = vec![hook, "hooks.slack.com/workflows/T0".into(), "xoxc-1".into(), format!("axox{}-1", "b")];
    for kind in ["a", "b", "p", "r", "s"] {
        yes.push(format!("xox{kind}-12-{}", body(8)));
        no.push(format!("tokens that start with xox{kind}-, or `xox{kind}-`"));
    }
    check(Pattern::SlackToken, &yes, &no);
    for (a, b) in [("s", "live"), ("s", "test"), ("r", "live"), ("r", "test")] {
        let prefix = format!("{a}k_{b}_");
        check(
            Pattern::StripeKey,
            &[format!("{prefix}{}", body(16))],
            &[format!("{prefix}{}", body(15)), format!("a{prefix}{}", body(16)), format!("pk_{b}_{}", body(16))],
        );
    }
    let prefix = ["Account", "Key="].concat();
    check(
        Pattern::AzureKey,
        &[format!("AccountName=a;{prefix}{}==", body(58)), format!("{prefix}{}+/", body(86))],
        &[format!("{prefix}{}", body(59)), format!("Shared{prefix}{}", body(60)), format!("accountkey={}", body(60))],
    );
}

#[test]
fn headers_of_private_keys() {
    let header = |label: &str| format!("{}BEGIN {label}-----", "-".repeat(5));
    let yes: Vec<String> =
        ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PGP PRIVATE KEY BLOCK"]
            .map(header)
            .into();
    let mut no: Vec<String> =
        ["PUBLIC KEY", "CERTIFICATE", "UNPRIVATE KEY", "PRIVATE KEYS", "private key", "RSA PRIVATE KEY FILE"]
            .map(header)
            .into();
    no.push(header("PRIVATE KEY").replace("BEGIN", "END"));
    no.push(header("PRIVATE KEY").replace("-----BEGIN", "----BEGIN"));
    no.push("a PEM PRIVATE KEY".into());
    check(Pattern::PrivateKey, &yes, &no);
}

#[test]
fn findings_say_line_and_start_all_at_once() {
    let text = format!(
        "one\r\nx {}\n\n{} {}",
        ["np", "m_", &body(36)].concat(),
        ["AK", "IA", &upper(16)].concat(),
        ["gl", "pat-", &body(20)].concat()
    );
    let shown: Vec<_> = scan(text.as_bytes()).into_iter().map(|f| (f.pattern, f.line, f.shown)).collect();
    assert_eq!(
        shown,
        [
            (Pattern::NpmToken, 2, "npm_Q7wE".to_owned()),
            (Pattern::AwsAccessKey, 4, "AKIAQ7WE".to_owned()),
            (Pattern::GitlabToken, 4, "glpat-Q7".to_owned()),
        ]
    );
}

#[test]
fn many_of_one_pattern_never_hide_another() {
    let one = ["np", "m_", &body(36), "\n"].concat();
    let text = one.repeat(FINDINGS_PER_PATTERN_MAX + 1) + &["gl", "pat-", &body(20)].concat();
    let findings = found(&text);
    assert_eq!(findings.len(), FINDINGS_PER_PATTERN_MAX + 1);
    assert_eq!(findings.last(), Some(&Pattern::GitlabToken));
}

#[test]
fn bytes_that_are_no_text_are_scanned_too() {
    let mut bytes = vec![0xFF, 0x00, 0xC3];
    bytes.extend_from_slice(["gl", "pat-", &body(20)].concat().as_bytes());
    bytes.push(0x80);
    assert_eq!(scan(&bytes).len(), 1);
    assert_eq!(scan(b""), []);
}

proptest! {
    /// Starts of credentials, cut and mixed: nothing panics, lines are right, and what is shown is short and plain.
    #[test]
    fn any_mixture_is_scanned(parts in proptest::collection::vec(prop_oneof![
        Just("ey".to_owned() + "J"), Just("://".to_owned()), Just("a:b@".to_owned()), Just("-----BEGIN ".to_owned()),
        Just("sk-".to_owned()), Just("secret_key=".to_owned()), Just("\n".to_owned()), Just(".".to_owned()), "[A-Za-z0-9_/+=-]{0,45}", "\\PC{0,4}",
    ], 0..30)) {
        let text = parts.concat();
        let lines = 1 + text.matches('\n').count() as u64;
        for finding in scan(text.as_bytes()) {
            prop_assert!((1..=lines).contains(&finding.line));
            prop_assert!(finding.shown.len() <= SHOWN_CHARS_MAX);
            prop_assert!(finding.shown.bytes().all(|b| (0x20..=0x7E).contains(&b)));
        }
    }
}

/// Text made to be read again and again. The work grows with its length, not with its square: these would take minutes.
#[test]
fn hostile_text_is_read_once() {
    for (unit, expected) in [
        (["ey", "J"].concat(), 0),
        (["_ey", "J."].concat(), 0),
        (["sk", "-"].concat(), 1),
        (["xox", "b-"].concat(), 1),
        ("://".to_owned(), 0),
        ("a://b:".to_owned(), 0),
        ("a://b:c".to_owned(), 0),
        (["-----", "BEGIN "].concat(), 0),
        (["AK", "IA"].concat(), 0),
        ("secretkey=".to_owned(), 0),
        ("+".to_owned(), 0),
    ] {
        let text = unit.repeat(400_000 / unit.len());
        assert_eq!(found(&text).len(), expected, "{unit}");
    }
}
