//! How the real programs compare with others that do a part of the same work, and what one item and one client cost.
//! `cargo bench -p agora-admin`; `apt-get install make ninja-build bubblewrap` for all of the peers.
//!
//! Rounds are taken in turn, so that what else the machine does hits everybody. Figures are medians; what counts are the
//! ratios.

#![expect(clippy::unwrap_used, reason = "a panic in a measurement is the failure")]
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use agora_testkit::env::{TestEnv, binary};
use serde_json::json;

/// Items of the middle layer; with the first and the last 1,002.
const WIDE: usize = 1_000;
/// Items of the chain from which the cost of one is taken.
const LONG: usize = 100;
/// Programs at once.
const JOBS: usize = 2;
/// How often each is measured.
const ROUNDS: usize = 3;
/// How often a client is started.
const STARTS: usize = 30;
/// How long a client is watched doing nothing.
const IDLE: Duration = Duration::from_secs(5);

/// The targets and queues of the homes. The profile is the strongest that this version and this machine give.
const CONFIG: &str = r#"
[targets.local]
provider = "process"
profiles = ["strict", "strict-nocg", "landlock-only", "none"]

[queues.two]
concurrency = 2
"#;
const AGENT: &str = "runtime = \"command\"\nargv = [\"true\"]\ntargets = [\"local\"]\ntemplate = \"nothing\"\n";

/// What does the same work: its name, and how long it took in each round.
struct Rival {
    name: &'static str,
    run: Box<dyn Fn() -> Duration>,
    took: Vec<Duration>,
}

fn main() {
    for program in ["agora-worker", "agora-jail", "agora-mcp"] {
        let _built = binary(program);
    }
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wants = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    if wants("graph") {
        graph();
    }
    if wants("item") {
        item();
    }
    if wants("client") {
        client();
    }
}

/// 1,002 commands that do nothing, in three layers, two at a time.
fn graph() {
    let folder = tempfile::tempdir().unwrap();
    write_makefile(&folder.path().join("plain.mk"), "true");
    write_makefile(&folder.path().join("walled.mk"), "bwrap --unshare-all --ro-bind / / --dev /dev --proc /proc true");
    write_ninja(&folder.path().join("build.ninja"));
    let plan = layers();
    let (profile, _) = agora(&plan);
    let mut rivals = vec![rival("agora", move || agora(&plan).1), rival("spawns", || spawns(WIDE + 2))];
    let at = folder.path().to_owned();
    for (name, program, arguments) in [
        ("make", "make", &["-s", "-j2", "-f", "plain.mk"] as &[_]),
        ("ninja", "ninja", &["--quiet", "-j2"]),
        ("make + bwrap", "bwrap", &["-s", "-j2", "-f", "walled.mk"]),
    ] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("{name}: not measured, {program} is not there");
            continue;
        }
        let (at, program) = (at.clone(), if program == "ninja" { "ninja" } else { "make" });
        rivals.push(rival(name, move || timed(Command::new(program).args(arguments).current_dir(&at))));
    }
    println!("1,002 commands in three layers, two at a time; agora durable, recorded and sealed, profile {profile}:");
    compare(rivals);
}

/// What one item costs beside its command: a chain of them against the bare commands.
fn item() {
    let plan = json!({ "queue": "two", "items": (0..LONG).map(|at| {
        json!({ "id": format!("i{at}"), "inputs": { "subagent": "nothing" },
                "depends_on": if at == 0 { vec![] } else { vec![format!("i{}", at - 1)] } })
    }).collect::<Vec<_>>() })
    .to_string();
    let (profile, _) = agora(&plan);
    println!("{LONG} commands one after the other; profile {profile}:");
    let took = compare(vec![rival("agora", move || agora(&plan).1), rival("spawns", || one_by_one(LONG))]);
    let [agora, bare] = [took[0], took[1]].map(|took| took.as_secs_f64() * 1000.0 / LONG as f64);
    println!("  one item all in: {agora:.1} ms, {:.1} ms over its bare command", agora - bare);
}

/// What a client pays: from its start to the list of tools, and what it costs while it does nothing.
fn client() {
    let env = ready();
    let once = || {
        let (took, mut child) = start(&env);
        drop(child.stdin.take());
        let _ = child.wait();
        took
    };
    let mut starts: Vec<Duration> = (0..STARTS).map(|_| once()).collect();
    starts.sort_unstable();
    let (_, mut idle) = start(&env);
    let status = |name: &str| {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", idle.id())).unwrap();
        let texts = tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("status")).unwrap());
        texts.map(|text| field(&text, name)).collect::<Vec<_>>()
    };
    let before: u64 = status("voluntary_ctxt_switches:").iter().sum();
    std::thread::sleep(IDLE);
    let wakes = status("voluntary_ctxt_switches:").iter().sum::<u64>().saturating_sub(before);
    let resident = status("VmRSS:").first().copied().unwrap_or_default();
    println!(
        "agora-mcp: start → tools/list, p50: {:.1} ms   p95: {:.1} ms   idle: {:.1} MiB resident, {:.1} wake-ups a second",
        starts[STARTS / 2].as_secs_f64() * 1000.0,
        starts[STARTS * 95 / 100].as_secs_f64() * 1000.0,
        resident as f64 / 1024.0,
        wakes as f64 / IDLE.as_secs_f64(),
    );
    idle.kill().unwrap();
    let _ = idle.wait();
}

fn rival(name: &'static str, run: impl Fn() -> Duration + 'static) -> Rival {
    Rival { name, run: Box::new(run), took: Vec::new() }
}

/// Takes the rounds and prints a line for each; returns the medians.
fn compare(mut rivals: Vec<Rival>) -> Vec<Duration> {
    for _ in 0..ROUNDS {
        for rival in &mut rivals {
            let took = (rival.run)();
            rival.took.push(took);
        }
    }
    let medians: Vec<Duration> = rivals
        .iter_mut()
        .map(|rival| {
            rival.took.sort_unstable();
            rival.took[ROUNDS / 2]
        })
        .collect();
    for (rival, took) in rivals.iter().zip(&medians) {
        let ratio = medians[0].as_secs_f64() / took.as_secs_f64();
        println!("  {:<14}{:>8.2} s   agora takes {ratio:.2} times as long", rival.name, took.as_secs_f64());
    }
    medians
}

fn timed(command: &mut Command) -> Duration {
    let started = Instant::now();
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    started.elapsed()
}

fn one_by_one(count: usize) -> Duration {
    let started = Instant::now();
    for _ in 0..count {
        assert!(Command::new("true").status().unwrap().success());
    }
    started.elapsed()
}

/// The commands alone, by as many threads as there are jobs.
fn spawns(count: usize) -> Duration {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| one_by_one(count / JOBS));
        }
    });
    started.elapsed()
}

/// A home with an agent that does nothing.
fn ready() -> TestEnv {
    let env = TestEnv::new().with_deadline(Duration::from_secs(600));
    env.run("agora-admin", ["init"]).ok();
    std::fs::write(env.home().join("agora.toml"), CONFIG).unwrap();
    std::fs::write(env.root().join("nothing.toml"), AGENT).unwrap();
    let file = env.root().join("nothing.toml");
    env.run("agora-admin", ["subagent", "register", "nothing", "--from", file.to_str().unwrap()]).ok();
    env
}

/// Runs a plan from its submission to the seal, in a home of its own: the profile, and how long it took.
fn agora(plan: &str) -> (String, Duration) {
    let env = ready();
    std::fs::write(env.work().join("plan.json"), plan).unwrap();
    let started = Instant::now();
    let told = env.run("agora-admin", ["--format", "json", "submit", "plan.json", "--watch"]).ok();
    let took = started.elapsed();
    let events = told.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let profile = events.into_iter().find_map(|event| event["details"]["profile"].as_str().map(str::to_owned));
    (profile.unwrap_or_default(), took)
}

/// One item, then many that depend on it, then one that depends on all of them.
fn layers() -> String {
    let work = json!({ "subagent": "nothing" });
    let mut items = vec![json!({ "id": "first", "inputs": work })];
    items.extend((0..WIDE).map(|at| json!({ "id": format!("i{at}"), "depends_on": ["first"], "inputs": work })));
    let all: Vec<String> = (0..WIDE).map(|at| format!("i{at}")).collect();
    items.push(json!({ "id": "last", "depends_on": all, "inputs": work }));
    json!({ "queue": "two", "items": items }).to_string()
}

fn write_makefile(path: &Path, command: &str) {
    let all: Vec<String> = (0..WIDE).map(|at| format!("i{at}")).collect();
    let all = all.join(" ");
    // A shell's keyword or a program alone would not be run as a process of its own by every make.
    let text = format!(
        ".PHONY: last first {all}\nlast: {all}\n\t@/usr/bin/env {command}\n{all}: first\n\t@/usr/bin/env {command}\nfirst:\n\t@/usr/bin/env {command}\n"
    );
    std::fs::write(path, text).unwrap();
}

fn write_ninja(path: &Path) {
    let mut text = "rule run\n  command = /usr/bin/env true\nbuild first: run\n".to_owned();
    for at in 0..WIDE {
        writeln!(text, "build i{at}: run first").unwrap();
    }
    let all: Vec<String> = (0..WIDE).map(|at| format!("i{at}")).collect();
    writeln!(text, "build last: run {}\ndefault last", all.join(" ")).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Starts a client's server and asks it for its tools.
fn start(env: &TestEnv) -> (Duration, std::process::Child) {
    let started = Instant::now();
    let mut child = env.command("agora-mcp").stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" } } });
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    write!(input, "{hello}\n{ready}\n{list}\n").unwrap();
    let mut line = String::new();
    while !line.contains("\"id\":1") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended");
    }
    let took = started.elapsed();
    assert!(line.contains("catalog"), "{line}");
    // It ends when its input does: kept open, it is idle.
    child.stdin = Some(input);
    (took, child)
}

/// The number after a name in a status of `/proc`.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
