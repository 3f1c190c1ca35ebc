//! Env bundles: which variables may be set at all, and how large they may be.

use super::credential::credentials;
use super::field::{Problems, pointer, problem};
use crate::error::{Class, Problem};
use crate::registry::artifact::{Delivery, EnvBundle, SecretRef};
use crate::registry::decode::Artifact;
use crate::registry::kind::Kind;

/// Plain values of a bundle.
pub const ENV_VALUES_MAX: usize = 256;
/// Secrets of a bundle.
pub const ENV_SECRETS_MAX: usize = 64;
/// Bytes of one value.
pub const ENV_VALUE_BYTES_MAX: usize = 32 << 10;
/// Bytes of all names and values of a bundle.
pub const ENV_BYTES_MAX: usize = 256 << 10;
/// Bytes of a variable's name.
const ENV_NAME_BYTES_MAX: usize = 128;
/// Methods or paths of one route.
const ROUTE_RULES_MAX: usize = 32;
/// Bytes of one text of a route.
const ROUTE_TEXT_BYTES_MAX: usize = 1_024;

/// Prefixes that change what a trusted command does, or that are agora's own; a reason each.
const REFUSED_PREFIXES: &[(&str, &str)] = &[
    ("LD_", "it makes the loader run other code in every program, trusted checks too"),
    ("DYLD_", "it makes the loader run other code in every program, trusted checks too"),
    ("GIT_", "it redirects what git reads and runs"),
    ("PERL5", "it makes perl load other code"),
    ("CARGO_BUILD_", "it replaces the compiler of a trusted check"),
    ("DOCKER_", "it points at another container service"),
    ("AWS_CONTAINER_", "it points at another source of credentials"),
    ("AGORA_", "the worker sets the variables of this prefix itself"),
];

/// The same, name by name.
const REFUSED_NAMES: &[(&str, &str)] = &[
    ("BASH_ENV", "it makes every bash script run another file first"),
    ("ENV", "it makes every shell run another file first"),
    ("PROMPT_COMMAND", "it makes every interactive shell run a command"),
    ("NODE_OPTIONS", "it makes node load other code"),
    ("PYTHONPATH", "it makes python load other code"),
    ("PYTHONHOME", "it makes python load other code"),
    ("PYTHONSTARTUP", "it makes python load other code"),
    ("RUBYOPT", "it makes ruby load other code"),
    ("JAVA_TOOL_OPTIONS", "it makes java load other code"),
    ("RUSTC_WRAPPER", "it replaces the compiler of a trusted check"),
    ("SSH_AUTH_SOCK", "it points at somebody's keys"),
];

/// Credentials of AWS: only as a secret that the operator delivers into the environment on purpose.
const AWS_KEYS: &[&str] = &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Returns why a bundle may not set this variable; `None`: it may.
///
/// `delivery` is how the variable's secret is delivered; `None` for a plain value. The one rule for register, acceptance
/// and the worker. Names are compared as the kernel keeps them, case and all, but for `*_proxy`, which programs read in
/// both cases.
#[must_use]
pub fn env_name_refused(name: &str, delivery: Option<Delivery>) -> Option<&'static str> {
    let head = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let well_formed = name.len() <= ENV_NAME_BYTES_MAX
        && name.bytes().next().is_some_and(head)
        && name.bytes().all(|b| head(b) || b.is_ascii_digit());
    if !well_formed {
        return Some("a variable's name is a letter or _, then up to 127 letters, digits or _");
    }
    if let Some((_, why)) = REFUSED_PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        return Some(why);
    }
    if let Some((_, why)) = REFUSED_NAMES.iter().find(|(refused, _)| name == *refused) {
        return Some(why);
    }
    if name.to_ascii_uppercase().ends_with("_PROXY") {
        return Some("the broker sets it");
    }
    match delivery {
        None | Some(Delivery::Broker | Delivery::File) if AWS_KEYS.contains(&name) => {
            Some("a key of AWS is set only by a secret with deliver = \"env\"")
        }
        None | Some(Delivery::Broker | Delivery::File | Delivery::Env) => None,
    }
}

/// Returns what of a well-formed bundle this version cannot do: it delivers no secrets, so a bundle that has any is
/// refused by deploy and by acceptance, never run without them.
#[must_use]
pub fn unsupported(bundle: &EnvBundle) -> Option<Problem> {
    let first = bundle.secrets.keys().next()?;
    let message =
        format!("secret delivery is not in this version, and {} variables hold a secret", bundle.secrets.len());
    let hint = "take the bundle out of the subagent, or its `secrets` out of the bundle";
    Some(Problem::new(Class::Operator, "secrets-unavailable", message).at(pointer("/secrets", first)).hint(hint))
}

impl Artifact for EnvBundle {
    const KIND: Kind = Kind::Env;
    const FORMAT: &'static str = "agora-env/v1";
    /// Each byte of a value may be written as six, and the secrets and their routes come beside.
    const BYTES_MAX: usize = 8 << 20;

    fn format(&self) -> &str {
        &self.format
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        if let Some(about) = &self.about {
            problems.line("/about", about);
        }
        problems.limit("/values", "the bundle", "env_values_max", ENV_VALUES_MAX, self.values.len());
        problems.limit("/secrets", "the bundle", "env_secrets_max", ENV_SECRETS_MAX, self.secrets.len());
        let bytes = self.values.iter().map(|(name, value)| name.len() + value.len()).sum();
        problems.limit("/values", "the bundle", "env_bytes_max", ENV_BYTES_MAX, bytes);
        for (name, value) in &self.values {
            let at = pointer("/values", name);
            refuse_name(&mut problems, &at, name, None);
            problems.limit(&at, "the value", "env_value_bytes_max", ENV_VALUE_BYTES_MAX, value.len());
            if value.contains('\0') {
                problems
                    .push(problem("env-value", at, "the value holds a NUL byte").hint("no environment can hold one"));
            }
        }
        for (name, secret) in &self.secrets {
            let at = pointer("/secrets", name);
            refuse_name(&mut problems, &at, name, Some(secret.deliver));
            if self.values.contains_key(name) {
                problems.push(
                    problem("name-duplicate", &at, format!("{name} has a value and a secret")).hint("keep one of them"),
                );
            }
            check_secret(&mut problems, &at, secret);
        }
        problems.0
    }

    fn credentials(&self) -> Vec<Problem> {
        // With the name before it, as a file would have it: some patterns are told by the name alone.
        let values = self.values.iter();
        let mut problems: Vec<_> = values
            .flat_map(|(name, value)| credentials(&pointer("/values", name), format!("{name}={value}").as_bytes(), &[]))
            .collect();
        problems.extend(self.about.iter().flat_map(|about| credentials("/about", about.as_bytes(), &[])));
        for (name, secret) in &self.secrets {
            let at = pointer("/secrets", name);
            let route = secret.route.iter().flat_map(|r| [&r.host, &r.header].into_iter().chain(&r.paths));
            problems.extend(route.flat_map(|text| credentials(&at, text.as_bytes(), &[])));
        }
        problems
    }
}

fn refuse_name(problems: &mut Problems, at: &str, name: &str, delivery: Option<Delivery>) {
    if let Some(why) = env_name_refused(name, delivery) {
        let shown: String = name.chars().take(ENV_NAME_BYTES_MAX).collect();
        problems.push(
            problem("env-refused", at, format!("the variable {shown:?} may not be set: {why}"))
                .hint("use another name; docs/registry.md lists what is refused"),
        );
    }
}

fn check_secret(problems: &mut Problems, at: &str, secret: &SecretRef) {
    let mut shape = |message: &str, hint: &str| problems.push(problem("secret-shape", at, message).hint(hint));
    match (secret.deliver, &secret.route) {
        (Delivery::Broker, None) => {
            shape("the broker delivers it and it has no route", "say host and header of its route")
        }
        (Delivery::File | Delivery::Env, Some(_)) => {
            shape("it has a route that no broker serves", "only deliver = \"broker\" has a route")
        }
        (Delivery::Broker, Some(_)) | (Delivery::File | Delivery::Env, None) => {}
    }
    if secret.base_url_var.is_some() && secret.route.is_none() {
        shape("it has a base_url_var and no route", "only deliver = \"broker\" has an address to give");
    }
    if secret.steps.is_empty() || !secret.steps.is_sorted_by(|a, b| a < b) {
        shape(
            "its steps are none, or not each once in the order agent, setup, verify",
            "leave `steps` out for the agent alone",
        );
    }
    if let Some(route) = &secret.route {
        if route.header.matches("{}").count() != 1 || !route.header.contains(": ") {
            shape("the header is not a name, `: ` and a text with one {}", "for example \"x-api-key: {}\"");
        }
        let texts = [&route.host, &route.header].into_iter().chain(&route.methods).chain(&route.paths);
        if texts.clone().any(|t| t.is_empty() || t.chars().any(char::is_control)) {
            shape("a text of the route is empty or holds a control character", "write it as HTTP does");
        }
        let longest = texts.map(String::len).max().unwrap_or(0);
        problems.limit(at, "a text of the route", "route_text_bytes_max", ROUTE_TEXT_BYTES_MAX, longest);
        let rules = route.methods.len().max(route.paths.len());
        problems.limit(at, "the route", "route_rules_max", ROUTE_RULES_MAX, rules);
    }
    if let Some(variable) = &secret.base_url_var {
        refuse_name(problems, &pointer(at, "base_url_var"), variable, None);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bundle(values: &[(&str, &str)]) -> EnvBundle {
        let values: serde_json::Map<_, _> = values.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        serde_json::from_value(json!({"format": "agora-env/v1", "values": values})).unwrap()
    }

    fn secret(secret: serde_json::Value) -> EnvBundle {
        serde_json::from_value(json!({"format": "agora-env/v1", "secrets": {"TOKEN": secret}})).unwrap()
    }

    fn codes(bundle: &EnvBundle) -> Vec<String> {
        bundle.check().into_iter().map(|p| p.code).collect()
    }

    #[test]
    fn names_that_change_a_trusted_command_are_refused() {
        let refused = [
            "LD_PRELOAD",
            "DYLD_INSERT_LIBRARIES",
            "GIT_DIR",
            "BASH_ENV",
            "ENV",
            "PROMPT_COMMAND",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "PYTHONHOME",
            "PYTHONSTARTUP",
            "PERL5LIB",
            "PERL5OPT",
            "RUBYOPT",
            "JAVA_TOOL_OPTIONS",
            "RUSTC_WRAPPER",
            "CARGO_BUILD_RUSTC",
            "SSH_AUTH_SOCK",
            "DOCKER_HOST",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AGORA_WORKSPACE",
            "HTTP_PROXY",
            "https_proxy",
            "No_Proxy",
            "",
            "1A",
            "A-B",
            "A=B",
            "A B",
            "É",
            "A\0",
        ];
        for name in refused {
            for delivery in [None, Some(Delivery::Broker), Some(Delivery::File), Some(Delivery::Env)] {
                assert!(env_name_refused(name, delivery).is_some(), "{name} {delivery:?}");
            }
        }
        let allowed = [
            "LD",
            "LDFLAGS",
            "DYLD",
            "GITHUB_TOKEN",
            "GIT",
            "BASH_ENVIRONMENT",
            "NODE_ENV",
            "NODE_OPTIONS_X",
            "PYTHONUTF8",
            "PERL",
            "PERL_MB_OPT",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "DOCKERFILE",
            "AWS_REGION",
            "AGORA",
            "MY_AGORA_X",
            "PROXY",
            "HTTP_PROXY_HOST",
            "_",
            "a1",
            "ENVIRONMENT",
        ];
        for name in allowed {
            assert_eq!(env_name_refused(name, None), None, "{name}");
        }
        assert_eq!(env_name_refused(&"A".repeat(128), None), None);
        assert!(env_name_refused(&"A".repeat(129), None).is_some());
    }

    #[test]
    fn keys_of_aws_are_set_only_on_purpose() {
        for name in AWS_KEYS {
            assert!(env_name_refused(name, None).is_some());
            assert!(env_name_refused(name, Some(Delivery::Broker)).is_some());
            assert!(env_name_refused(name, Some(Delivery::File)).is_some());
            assert_eq!(env_name_refused(name, Some(Delivery::Env)), None);
        }
    }

    #[test]
    fn each_cap_at_its_boundary_and_one_beyond() {
        let many = |count: usize| {
            let names: Vec<_> = (0..count).map(|i| format!("V{i}")).collect();
            bundle(&names.iter().map(|n| (n.as_str(), "")).collect::<Vec<_>>())
        };
        assert_eq!(codes(&many(ENV_VALUES_MAX)), [""; 0]);
        assert_eq!(codes(&many(ENV_VALUES_MAX + 1)), ["limit-exceeded"]);
        let value = "x".repeat(ENV_VALUE_BYTES_MAX);
        assert_eq!(codes(&bundle(&[("A", &value)])), [""; 0]);
        assert_eq!(codes(&bundle(&[("A", &(value.clone() + "x"))])), ["limit-exceeded"]);
        let names = ["A", "B", "C", "D", "E", "F", "G"];
        let mut all: Vec<_> = names.iter().map(|n| (*n, value.as_str())).collect();
        let rest = "x".repeat(ENV_BYTES_MAX - 7 * (value.len() + 1) - 1);
        all.push(("H", &rest));
        assert_eq!(codes(&bundle(&all)), [""; 0]);
        all.push(("I", ""));
        assert_eq!(bundle(&all).check()[0].message, "the bundle has 262145, over env_bytes_max = 262144");
        let secrets = |count: usize| {
            let one = json!({"secret": "s", "deliver": "env"});
            let all: serde_json::Map<_, _> = (0..count).map(|i| (format!("S{i}"), one.clone())).collect();
            serde_json::from_value::<EnvBundle>(json!({"format": "agora-env/v1", "secrets": all})).unwrap()
        };
        assert_eq!(codes(&secrets(ENV_SECRETS_MAX)), [""; 0]);
        assert_eq!(codes(&secrets(ENV_SECRETS_MAX + 1)), ["limit-exceeded"]);
    }

    #[test]
    fn all_problems_come_at_once_with_their_places() {
        let mut wrong = bundle(&[("LD_PRELOAD", "x"), ("A~/B", "y\0"), ("TOKEN", "")]);
        wrong.secrets = secret(json!({"secret": "s", "deliver": "env"})).secrets;
        let shown: Vec<_> = wrong.check().into_iter().map(|p| (p.code, p.at.unwrap())).collect();
        let expected = [
            ("env-refused", "/values/A~0~1B"),
            ("env-value", "/values/A~0~1B"),
            ("env-refused", "/values/LD_PRELOAD"),
            ("name-duplicate", "/secrets/TOKEN"),
        ];
        assert_eq!(shown, expected.map(|(code, at)| (code.to_owned(), at.to_owned())));
    }

    #[test]
    fn a_secret_says_how_it_is_delivered() {
        let route = json!({"host": "api.example", "header": "x-api-key: {}"});
        for (given, count) in [
            (json!({"secret": "s", "deliver": "broker", "route": route}), 0),
            (json!({"secret": "s", "deliver": "file", "steps": ["agent", "verify"]}), 0),
            (json!({"secret": "s", "deliver": "broker", "route": route, "base_url_var": "BASE"}), 0),
            (json!({"secret": "s", "deliver": "broker"}), 1),
            (json!({"secret": "s", "deliver": "env", "route": route}), 1),
            (json!({"secret": "s", "deliver": "env", "base_url_var": "BASE"}), 1),
            (json!({"secret": "s", "deliver": "broker", "route": route, "base_url_var": "LD_X"}), 1),
            (json!({"secret": "s", "deliver": "env", "steps": ["verify", "agent"]}), 1),
            (json!({"secret": "s", "deliver": "env", "steps": []}), 1),
            (json!({"secret": "s", "deliver": "broker", "route": {"host": "h", "header": "x-api-key {}"}}), 1),
            (json!({"secret": "s", "deliver": "broker", "route": {"host": "h\n", "header": "a: {}"}}), 1),
        ] {
            assert_eq!(secret(given.clone()).check().len(), count, "{given}");
        }
    }

    #[test]
    fn secrets_are_read_and_said_to_be_unavailable() {
        let with = secret(json!({"secret": "s", "deliver": "env"}));
        assert_eq!(codes(&with), [""; 0]);
        assert_eq!(unsupported(&with).unwrap().code, "secrets-unavailable");
        assert_eq!(unsupported(&bundle(&[("A", "1")])), None);
    }

    #[test]
    fn a_value_is_scanned_with_its_name() {
        let value = "Ab3+".repeat(10);
        assert_eq!(
            bundle(&[("AWS_SECRET_KEY", &value)]).credentials()[0].at.as_deref(),
            Some("/values/AWS_SECRET_KEY")
        );
        assert_eq!(bundle(&[("CHECKSUM", &value)]).credentials(), []);
    }
}
