use agora_core::error::{Class, Coded as _};
use agora_core::plan::QueuePattern;

use super::*;

fn machine() -> Machine {
    Machine { processors: 4, user_home: Some(PathBuf::from("/home/ada")) }
}

fn config(text: &str) -> Config {
    match parse(Path::new("/h/agora.toml"), text.as_bytes(), &machine()) {
        Ok(config) => config,
        Err(error) => panic!("{:#?}", error.problems()),
    }
}

fn problems(text: &str) -> Vec<(String, String)> {
    let error = parse(Path::new("/h/agora.toml"), text.as_bytes(), &machine()).expect_err(text);
    assert_eq!((error.class(), error.code()), (Class::Operator, "config-invalid"));
    error.problems().into_iter().map(|problem| (problem.at.unwrap(), problem.code)).collect()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn nothing_at_all_is_a_whole_configuration() {
    let home = tempfile::tempdir().unwrap();
    let config = Config::load(home.path(), &machine()).unwrap();
    assert_eq!(config.queues[&name("default")].concurrency, 4);
    assert_eq!(config.executors[&name("dispatch")].target, name("local"));
    assert_eq!(config.targets[&name("local")], Target::default());
    assert_eq!(config.digest(), Digest::of(b""));
    assert!(config.cwd && config.engine.linger && config.workspaces.is_empty());
    assert_eq!(config.workspace_names().into_iter().collect::<Vec<_>>(), [name("cwd")]);
    assert_eq!(config.target_of(&name("dispatch")).unwrap().0, &name("local"));
    assert!(config.target_of(&name("other")).is_none());
}

const FULL: &str = r#"
[defaults]
target = "slow"
[queues.nightly]
concurrency = 2
pattern = "static-dag"
[queues.wide]
[queues.checked]
pattern = "pipeline"
[executors.dispatch-b]
target = "local"
[targets.slow]
provider = "process"
profiles = ["strict", "landlock-only"]
limits = { memory_mib = 0x1000, wall_seconds = 7_200 }
allow_bypass = true
[workspaces]
cwd = false
shop = { path = "~/src/shop", history = 3 }
docs = { path = "/srv/docs" }
[engine]
linger = false
[retain]
days = 30
"#;

#[test]
fn everything_it_can_say_is_read() {
    let config = config(FULL);
    assert_eq!(config.queues[&name("nightly")].concurrency, 2);
    assert_eq!(config.queues[&name("wide")].concurrency, 4);
    let pattern = |queue: &str| config.queues[&name(queue)].pattern;
    assert_eq!([pattern("wide"), pattern("checked")], [QueuePattern::StaticDag, QueuePattern::Pipeline]);
    assert_eq!(config.executors[&name("dispatch")].target, name("slow"));
    assert_eq!(config.executors[&name("dispatch-b")].target, name("local"));
    let slow = &config.targets[&name("slow")];
    assert_eq!(slow.profiles, [Profile::Strict, Profile::LandlockOnly]);
    assert_eq!((slow.limits.memory_mib, slow.limits.wall_seconds, slow.limits.pids), (Some(4096), Some(7200), None));
    assert!(slow.allow_bypass && !config.cwd && !config.engine.linger);
    assert_eq!(config.workspaces[&name("shop")], Workspace { path: "/home/ada/src/shop".into(), history: 3 });
    assert_eq!(config.workspace_names().len(), 2);
    assert_eq!((config.retain_days, config.digest()), (Some(30), Digest::of(FULL.as_bytes())));
}

#[test]
fn a_targets_digest_is_of_what_it_means() {
    let written_out = config("[targets.local]\nprovider = \"process\"\nprofiles = [\"strict\", \"strict-nocg\"]");
    let local = name("local");
    assert_eq!(written_out.target_digest(&local), config("").target_digest(&local));
    assert_ne!(config("[targets.local]\nallow_bypass = true").target_digest(&local), config("").target_digest(&local));
    assert_eq!(config("").target_digest(&name("none")), None);
}

#[test]
fn every_error_is_told_at_once_with_its_line() {
    let text = "[queue.default]\n[queues.a]\nconcurrency = 0\nconcurency = 1\n[targets.t]\nprovider = \"docker\"\n\
                image = \"x\"\nprofiles = [\"strikt\"]\n[executors.e]\ntarget = \"tt\"\n[workspaces]\nw = { path = \"rel\" }\n";
    let expected = [
        ("agora.toml:1", "config-key"),
        ("agora.toml:3", "config-value"),
        ("agora.toml:4", "config-key"),
        ("agora.toml:6", "config-unavailable"),
        ("agora.toml:7", "config-unavailable"),
        ("agora.toml:8", "config-value"),
        ("agora.toml:10", "config-reference"),
        ("agora.toml:12", "config-value"),
    ];
    let found = problems(text);
    assert_eq!(found.iter().map(|(at, code)| (at.as_str(), code.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn the_nearest_key_and_name_are_offered() {
    for (text, hint) in [
        ("[queus.a]", "did you mean queues?"),
        ("[queues.a]\nconcurency = 1", "did you mean queues.a.concurrency?"),
        ("[targets.a]\nprofiles = [\"strickt\"]", "did you mean \"strict\"?"),
        ("[defaults]\ntarget = \"lokal\"", "did you mean \"local\"? or define it as [targets.lokal]"),
        ("[engine]\nzzzzzzzzzzzz = 1", "known here: linger"),
        ("[notify.hook]", "remove it: this version does not have callbacks"),
    ] {
        let error = parse(Path::new("agora.toml"), text.as_bytes(), &machine()).expect_err(text);
        assert_eq!(error.hint().as_deref(), Some(hint), "{text}");
    }
}

#[test]
fn each_value_at_its_boundary_and_one_beyond() {
    for (good, bad) in [
        ("[queues.a]\nconcurrency = 1024", "[queues.a]\nconcurrency = 1025"),
        ("[queues.a]\nconcurrency = 1", "[queues.a]\nconcurrency = -1"),
        ("[retain]\ndays = 36500", "[retain]\ndays = 36501"),
        (
            "[workspaces]\na = { path = \"/a\", history = 10000 }",
            "[workspaces]\na = { path = \"/a\", history = 10001 }",
        ),
        ("[targets.a.limits]\npids = 9007199254740991", "[targets.a.limits]\npids = 9007199254740992"),
        ("[targets.a.limits]\npids = 1", "[targets.a.limits]\npids = 0"),
        ("[engine]\nlinger = true", "[engine]\nlinger = \"true\""),
        ("[workspaces]\ncwd = true", "[workspaces]\ncwd = { path = \"/a\" }"),
        ("[targets.a]\nprofiles = [\"none\"]", "[targets.a]\nprofiles = []"),
        ("[targets.a]\nprofiles = [\"none\"]", "[targets.a]\nprofiles = [\"none\", \"none\"]"),
        ("[executors.a]\ntarget = \"local\"", "[executors.a]"),
        ("[executors.a]\ntarget = \"local\"", "[executors.approval]\ntarget = \"local\""),
        ("[workspaces]\na = { path = \"~\" }", "[workspaces]\na = { path = \"~bob\" }"),
        ("[workspaces]\na = { path = \"/a\" }", "[workspaces]\nA = { path = \"/a\" }"),
        ("[workspaces]\na = { path = \"/a\" }", "[workspaces]\na = { history = 1 }"),
    ] {
        config(good);
        assert_eq!(problems(bad).len(), 1, "{bad}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    assert_eq!(problems("[engine]\nlinger = \n"), [("agora.toml:2".to_owned(), "config-syntax".to_owned())]);
    assert_eq!(problems("[engine]\nlinger = true\nlinger = true\n").len(), 1);
    let error = parse(Path::new("agora.toml"), b"a = 1\n\xff", &machine()).unwrap_err();
    assert_eq!(error.at().as_deref(), Some("agora.toml:2"));
}

#[test]
fn a_configuration_behind_a_link_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("real"), b"[engine]\n").unwrap();
    std::os::unix::fs::symlink(home.path().join("real"), home.path().join("agora.toml")).unwrap();
    assert_eq!(Config::load(home.path(), &machine()).unwrap_err().code(), "home-file-kind");
    std::fs::remove_file(home.path().join("agora.toml")).unwrap();
    std::fs::rename(home.path().join("real"), home.path().join("agora.toml")).unwrap();
    Config::load(home.path(), &machine()).unwrap();
}
