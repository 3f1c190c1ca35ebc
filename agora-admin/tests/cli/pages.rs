//! The page of a run: what it shows of sealed, open and changed runs, and that nothing a worker writes acts in it.

use agora_testkit::env::TestEnv;
use serde_json::json;

use crate::markup::{Node, read};
use crate::runs::{place, submit};
use crate::support::{admin, json as said};

const PLAN: &str = r#"{"id": "run", "workspace": {"name": "cwd"}, "items": [
  {"id": "a", "inputs": {"subagent": "writer", "workerInput": {"name": "Makefile", "text": "by a & <co>"}}},
  {"id": "b", "inputs": {"subagent": "writer", "workerInput": {"name": "b.txt", "text": "by b"}}, "depends_on": ["a"]}]}"#;

/// Writes a page, and returns it, read by a parser that takes nothing but what a page may have.
#[track_caller]
fn page(env: &TestEnv, name: &str, code: i32, arguments: &[&str]) -> (String, Vec<Node>) {
    let file = env.root().join(name);
    let arguments = [arguments, &["--html", file.to_str().unwrap()]].concat();
    let output = admin(env, &arguments);
    assert_eq!(output.code, Some(code), "{output:?}");
    assert!(output.stdout.contains(file.to_str().unwrap()), "{output:?}");
    let text = std::fs::read_to_string(file).unwrap();
    let nodes = read(&text);
    let ids = ids(&nodes);
    assert!(ids.iter().all(|id| ids.iter().filter(|other| other == &id).count() == 1), "{ids:?}");
    (text, nodes)
}

/// The texts of the elements with a name and a class.
fn texts(nodes: &[Node], name: &str, class: &str) -> Vec<String> {
    let of = nodes.iter().filter(|node| node.name == name && node.classes().any(|known| known == class));
    of.map(|node| node.text.clone()).collect()
}

fn ids(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().filter_map(|node| node.of("id")).collect()
}

#[test]
fn a_sealed_run_has_a_page_of_what_its_bundle_says() {
    let env = place();
    submit(&env, PLAN, 0);
    let (text, nodes) = page(&env, "page.html", 0, &["audit", "run"]);
    let verdict = texts(&nodes, "div", "verdict").remove(0);
    assert!(verdict.contains("VERIFIED") && verdict.contains("Self-asserted"), "{verdict}");
    let (patch, body) = (texts(&nodes, "pre", "patch"), texts(&nodes, "body", ""));
    assert!(patch[0].contains("\n+by a & <co>\n") && patch[1].contains("\n+by b\n"), "{patch:?}");
    assert_eq!(texts(&nodes, "span", "add"), ["+by a & <co>\n", "+by b\n"]);
    assert!(texts(&nodes, "span", "flag").contains(&"⚑ build-script".to_owned()));
    assert!(texts(&nodes, "span", "good").contains(&"ok".to_owned()), "{body:?}");
    for part in ["not-isolated", "process/none", "NOT CONFINED", "agora-verify bundle.json", "in: patch of a"] {
        assert!(text.contains(part), "{part}");
    }
    // Places are numbered, whatever things are called; links lead to places that are there, and nowhere else.
    let ids = ids(&nodes);
    assert!(["item0", "item1", "isolation0", "checks", "not-checked"].iter().all(|id| ids.contains(id)), "{ids:?}");
    let links: Vec<&str> = nodes.iter().filter_map(|node| node.of("href")).collect();
    assert!(links.iter().all(|link| link.strip_prefix('#').is_some_and(|id| ids.contains(&id))), "{links:?}");
    // The bundle that it was made of is the one that is handed out.
    let bundle = env.root().join("b.json");
    let both = said(&env, &["audit", "run", "--out", bundle.to_str().unwrap(), "--html", "again.html"]);
    assert!(text.contains(both["bundle"]["digest"].as_str().unwrap()));
    assert_eq!((&both["page"]["bundle"], &both["page"]["verdict"]), (&both["bundle"]["digest"], &"verified".into()));
    assert_eq!(std::fs::read_to_string(env.work().join("again.html")).unwrap(), text, "the same bytes again");
    // Nothing is written over, and a page is of a run.
    assert!(admin(&env, &["audit", "run", "--html", "again.html"]).fails(6).contains("file-unwritable"));
    for wrong in [&["audit", "--html", "x.html"][..], &["audit", "--log", "--out", "l", "--html", "x.html"]] {
        assert!(admin(&env, wrong).fails(6).contains("[usage]"));
    }
    assert!(admin(&env, &["audit", "run", "--policy", "trust.toml"]).fails(6).contains("[usage]"));
}

#[test]
fn a_page_says_whose_keys_it_believes_and_what_was_required() {
    let env = place();
    submit(&env, PLAN, 0);
    // The policy has seen a later log than the one that covers this run's seal.
    submit(&env, &PLAN.replace("\"run\"", "\"next\""), 0);
    let trust = env.root().join("trust.toml");
    let trust = trust.to_str().unwrap();
    let _written = admin(&env, &["key", "trust-export", "--out", trust]).ok();
    let with = ["audit", "run", "--policy", trust, "--require", "whole-run"];
    let (text, nodes) = page(&env, "good.html", 0, &with);
    assert!(!texts(&nodes, "div", "verdict")[0].contains("Self-asserted"));
    assert!(text.contains("key-pinned") && text.contains("--since"), "{text}");
    // The log reaches to the first checkpoint that covers the seal; whether that covers the next opening, too, is chance.
    let (_, nodes) = page(&env, "log.html", 0, &["audit", "run", "--log", "--require", "whole-log"]);
    let pills = texts(&nodes, "span", "pill");
    assert!(pills.iter().any(|pill| pill == "all-sealed" || pill == "whole-log"), "{pills:?}");

    let (_, nodes) = page(&env, "unmet.html", 1, &["audit", "run", "--policy", trust, "--require", "tamper-evident"]);
    let verdict = texts(&nodes, "div", "bad").remove(0);
    assert!(verdict.starts_with("FAILED") && verdict.contains("required-unmet"), "{verdict}");
    let (_, nodes) = page(&env, "unread.html", 2, &["audit", "run", "--policy", "/nowhere.toml"]);
    assert!(texts(&nodes, "div", "warn")[0].starts_with("COULD NOT CHECK"));
    // A policy that has seen a larger log than there is.
    let seen = format!("[[seen]]\nsize = 9999\nroot = \"{}\"\n", "0".repeat(64));
    std::fs::write(trust, std::fs::read_to_string(trust).unwrap() + &seen).unwrap();
    let (_, nodes) = page(&env, "rollback.html", 1, &["audit", "run", "--policy", trust]);
    assert!(texts(&nodes, "div", "bad")[0].contains("log-rollback"));
    // The log has no run to show, and a verdict.
    let log = env.root().join("log.json");
    let log = log.to_str().unwrap();
    let _written = admin(&env, &["audit", "--log", "--out", log]).ok();
    let (text, nodes) = page(&env, "whole-log.html", 0, &["verify", log]);
    assert!(texts(&nodes, "div", "good")[0].starts_with("VERIFIED") && !text.contains("id=\"graph\""));
}

#[test]
fn an_open_run_has_a_page_too() {
    let env = place();
    let plan = r#"{"id": "open", "items": [{"id": "ok", "executor": "approval", "inputs": {"question": "Go <b>?"}}]}"#;
    submit(&env, plan, 8);
    let (text, nodes) = page(&env, "open.html", 2, &["audit", "open"]);
    assert!(text.contains("not completed yet") && text.contains("open-run"), "{text}");
    assert!(texts(&nodes, "figure", "").iter().any(|figure| figure.contains("Go <b>?")), "{text}");
    assert_eq!(page(&env, "again.html", 2, &["audit", "open"]).0, text);
    // Decided, it is a page of a sealed run, and nobody drives on.
    let _decided = admin(&env, &["approve", "open", "ok"]).ok();
    let _over = admin(&env, &["watch", "open", "--timeout", "50"]).ok();
    let (sealed, nodes) = page(&env, "sealed.html", 0, &["audit", "open"]);
    assert!(
        sealed.contains("whole-run")
            && texts(&nodes, "p", "note").iter().any(|note| note.starts_with("approved by human:"))
    );
}

/// Both from a store that was changed and from a bundle that was: what it says is shown, under a verdict that nobody overlooks.
#[test]
fn a_run_that_does_not_verify_has_a_page_that_says_so() {
    let env = place();
    submit(&env, PLAN, 0);
    let bundle = env.root().join("b.json");
    let bundle = bundle.to_str().unwrap();
    let _written = admin(&env, &["audit", "run", "--out", bundle, "--artifacts"]).ok();
    let (_, nodes) = page(&env, "from-bundle.html", 0, &["verify", bundle]);
    assert!(texts(&nodes, "pre", "patch")[1].contains("+by b"));

    let replaced = |path: &std::path::Path, from: &str, to: &str| {
        let bytes = std::fs::read(path).unwrap();
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        std::fs::write(path, [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()).unwrap();
    };
    let failed = |nodes: &[Node]| {
        let verdict = texts(nodes, "div", "bad").remove(0);
        assert!(verdict.starts_with("FAILED") && verdict.contains("checkpoint-root"), "{verdict}");
        assert!(texts(nodes, "table", "checks")[0].contains("FAILED"));
        assert!(texts(nodes, "span", "pill").contains(&"broken".to_owned()));
    };
    replaced(bundle.as_ref(), r#"\"files\":1"#, r#"\"files\":7"#);
    let (text, nodes) = page(&env, "changed.html", 1, &["verify", bundle]);
    failed(&nodes);
    assert!(text.contains("7 files"));
    replaced(&env.home().join("store.db"), r#""files":1,"#, r#""files":7,"#);
    failed(&page(&env, "store.html", 1, &["audit", "run"]).1);
    // Nothing of it can be read: the page has the verdict alone.
    std::fs::write(bundle, "{").unwrap();
    let (_, nodes) = page(&env, "nothing.html", 1, &["verify", bundle]);
    assert!(texts(&nodes, "div", "bad")[0].contains("bundle-"));
}

#[test]
fn bytes_that_are_gone_or_changed_are_not_shown() {
    let env = place();
    submit(&env, PLAN, 0);
    let blob = |item: &str| {
        let digest = said(&env, &["result", "run", item])["patch"]["digest"].as_str().unwrap().replace("sha256:", "");
        env.home().join("blobs/sha256").join(&digest[..2]).join(&digest[2..])
    };
    let (gone, changed) = (blob("a"), blob("b"));
    std::fs::remove_file(gone).unwrap();
    std::fs::remove_file(&changed).unwrap();
    std::fs::write(&changed, "+not what it was\n").unwrap();
    let (text, nodes) = page(&env, "page.html", 0, &["audit", "run"]);
    let notes = texts(&nodes, "p", "note");
    assert!(notes.iter().any(|note| note.starts_with("Not shown: the bytes are not here")), "{notes:?}");
    assert!(notes.iter().any(|note| note.starts_with("DAMAGED")), "{notes:?}");
    assert!(!text.contains("not what it was"));
}

/// An agent that writes what it finds in a file of the workspace, under every name that it may choose.
const HOSTILE: &str = r#"
runtime = "command"
argv = ["sh", "-c", '''
set -e
printf '</pre></script><img src=x onerror=alert(1)><script>alert(2)</script>\n' > page.txt
printf '%s\n' '"onmouseover="alert(3)" https://evil.example/ javascript:alert(4) &amp;' >> page.txt
printf 'a\342\200\256b\342\201\246c\342\200\213d\001e\377f\033[31mg\rh\n' >> page.txt
printf 'a\000b\n' > zero.bin
printf 'plain & simple <text>, naïve 日本語\n' >> page.txt
printf x > '<svg onload=alert(5)>.txt'
printf x > 'outputs/"><svg onload=alert(6)>.txt'
mkdir -p .agora
''']
targets = ["*"]
template = "{{ text }}"
"#;

#[test]
fn nothing_that_a_worker_writes_acts_in_a_page() {
    let env = place();
    let agent = env.root().join("hostile.toml");
    std::fs::write(&agent, HOSTILE).unwrap();
    let _registered = admin(&env, &["subagent", "register", "hostile", "--from", agent.to_str().unwrap()]).ok();
    let told = "<script>alert(7)</script>\u{202e}txt\u{200b} and plain <text>";
    let plan = json!({"id": "run", "workspace": {"name": "cwd"}, "items": [{
        "id": "a", "resourceLocks": ["\"><script>alert(8)</script>"],
        "inputs": {"subagent": "hostile", "workerInput": {"text": told}},
    }]});
    submit(&env, &plan.to_string(), 0);
    // The parser refuses every element, attribute and link that a page has no use for, and all that is not escaped.
    let (text, nodes) = page(&env, "page.html", 0, &["audit", "run"]);
    for raw in ["<script", "<img", "<svg o", "\u{202e}", "\u{2066}", "\u{200b}", "\0", "\u{1b}", "\r", "\u{fffd}"] {
        assert!(!text.contains(raw), "{raw:?}");
    }
    let patch = texts(&nodes, "pre", "patch").remove(0);
    // It is all there, as text.
    for shown in [
        "+</pre></script><img src=x onerror=alert(1)><script>alert(2)</script>\n",
        "+\"onmouseover=\"alert(3)\" https://evil.example/ javascript:alert(4) &amp;\n",
        r"+a\u{202e}b\u{2066}c\u{200b}d\u{1}e\xfff\u{1b}[31mg\rh",
        "+plain & simple <text>, naïve 日本語\n",
        "<svg\\040onload=alert(5)>.txt",
        "GIT binary patch\n",
    ] {
        assert!(patch.contains(shown), "{shown:?} in {patch}");
    }
    let escapes = texts(&nodes, "b", "esc");
    assert!(escapes.contains(&r"\u{202e}".to_owned()) && escapes.contains(&r"\xff".to_owned()), "{escapes:?}");
    assert!(
        texts(&nodes, "figure", "")
            .iter()
            .any(|figure| { figure.contains(r"<script>alert(7)</script>\u{202e}txt\u{200b} and plain <text>") })
    );
    let body = texts(&nodes, "body", "").remove(0);
    assert!(body.contains("output \"><svg%20onload=alert(6)>.txt:"), "{body}");
    assert!(body.contains("\"><script>alert(8)</script>"), "{body}");
}

#[test]
fn a_large_patch_is_cut_and_says_how_to_have_it_whole() {
    let env = place();
    let agent = env.root().join("long.toml");
    let text = r#"
runtime = "command"
argv = ["sh", "-c", "seq 1 50000 > long.txt"]
targets = ["*"]
template = "count"
"#;
    std::fs::write(&agent, text).unwrap();
    let _registered = admin(&env, &["subagent", "register", "long", "--from", agent.to_str().unwrap()]).ok();
    let plan = r#"{"id": "run", "workspace": {"name": "cwd"}, "items": [{"id": "a", "inputs": {"subagent": "long"}}]}"#;
    submit(&env, plan, 0);
    let (text, nodes) = page(&env, "page.html", 0, &["audit", "run"]);
    let patch = texts(&nodes, "pre", "patch").remove(0);
    assert!(patch.ends_with('\n') && patch.len() <= 64 << 10 && patch.contains("\n+9999\n"), "{}", patch.len());
    let all: usize = said(&env, &["result", "run", "a"])["patch"]["size_bytes"].as_u64().unwrap().try_into().unwrap();
    assert!(text.contains(&format!("Cut here: {} of {all} bytes are left out.", all - patch.len())));
    assert!(text.contains("agora-admin result run a --part patch --out FILE"));
}
