//! C03: many engines submit at once. None lost, none doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use agora_engine::operations::{OpError, SubmitArgs, SubmitReply};
use agora_testkit::fakes::FakeCompute;
use serde_json::Value;

use crate::common::{Home, caller, check, fan_out, item, plan, try_submit, wait_end, within};
use crate::evidence::{bodies, log};

/// Says to a process of this test that it is one of those that submit, and where.
const CHILD: &str = "AGORA_TEST_CHILD";
/// How many submit at once.
const CLIENTS: usize = 4;
/// How many runs of its own each submits.
const RUNS: usize = 15;

/// What a client learned, as a line that a process can print.
fn told(what: &str, reply: Result<SubmitReply, OpError>) -> String {
    match reply {
        Ok(reply) => {
            format!("{what} {} {}", reply.run_id.unwrap(), if reply.deduplicated { "again" } else { "accepted" })
        }
        Err(error) => format!("{what} {} refused", error.first().code),
    }
}

fn without_id(mut plan: Value) -> Value {
    plan.as_object_mut().unwrap().remove("id");
    plan
}

/// One client: runs of its own, and three that all of them want.
async fn client(engine: &agora_engine::Engine, number: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for at in 0..RUNS {
        lines.push(told("own", try_submit(engine, fan_out(&format!("run-{number}-{at}"), 2)).await));
    }
    lines.push(told("shared", try_submit(engine, fan_out("shared", 3)).await));
    lines.push(told("clash", try_submit(engine, plan("clash", vec![item(&format!("by-{number}"), &[])])).await));
    let plan = without_id(fan_out("", 1));
    let args = SubmitArgs { plan: Some(plan), request_id: Some("the same".to_owned()), ..SubmitArgs::default() };
    lines.push(told("request", within(engine.submit(&caller(), args)).await));
    lines
}

/// What all clients together must have learned, and what the store must hold then.
async fn judge(home: &Path, engine: &agora_engine::Engine, lines: &[String]) {
    let mut by_kind: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for line in lines {
        let [kind, what, how] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        by_kind.entry(kind).or_default().push((what, how));
    }
    let count = |kind: &str, how: &str| by_kind[kind].iter().filter(|(_, found)| *found == how).count();
    assert_eq!(count("own", "accepted"), CLIENTS * RUNS);
    assert_eq!((count("shared", "accepted"), count("shared", "again")), (1, CLIENTS - 1), "{by_kind:?}");
    assert_eq!((count("clash", "accepted"), count("clash", "refused")), (1, CLIENTS - 1), "{by_kind:?}");
    assert!(by_kind["clash"].iter().all(|(what, how)| *how == "accepted" || *what == "run-conflict"));
    assert_eq!((count("request", "accepted"), count("request", "again")), (1, CLIENTS - 1), "{by_kind:?}");
    assert_eq!(by_kind["request"].iter().map(|(run, _)| run).collect::<BTreeSet<_>>().len(), 1);

    let runs: BTreeSet<&str> =
        lines.iter().filter(|line| !line.ends_with("refused")).map(|line| line.split(' ').nth(1).unwrap()).collect();
    let runs: Vec<&str> = runs.into_iter().collect();
    for row in wait_end(engine, &runs).await {
        assert_eq!((row.state.as_str(), row.sealed), ("done", true));
    }
    assert_eq!(bodies(home, "run.opened").len(), CLIENTS * RUNS + 3);
    let of = |kind: &str| log(home).iter().filter(|entry| entry["type"] == kind).count();
    assert_eq!((of("run.opened"), of("run.sealed")), (CLIENTS * RUNS + 3, CLIENTS * RUNS + 3));
    check(engine, &["shared", "clash", "run-0-0"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn engines_of_one_process_submit_at_once() {
    let home = Home::with_files(FakeCompute::default()).await;
    let engine = home.open().await;
    let driver = engine.drive();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let path = home.path().to_owned();
        clients.push(tokio::spawn(async move { client(&*Home::visit(&path).await, number).await }));
    }
    let mut lines = Vec::new();
    for one in clients {
        lines.extend(one.await.unwrap());
    }
    judge(home.path(), &engine, &lines).await;
    driver.stop().await;
}

fn spawn(home: &Path, number: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::processes_submit_at_once", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{number} {}", home.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Started again by itself with [`CHILD`] set, the test is one of the processes that submit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_submit_at_once() {
    if let Ok(child) = std::env::var(CHILD) {
        let (number, home) = child.split_once(' ').unwrap();
        for line in client(&*Home::visit(Path::new(home)).await, number.parse().unwrap()).await {
            println!("\n@ {line}");
        }
        return;
    }
    let home = Home::with_files(FakeCompute::default()).await;
    let engine = home.open().await;
    let driver = engine.drive();
    let children: Vec<Child> = (0..CLIENTS).map(|number| spawn(home.path(), number)).collect();
    let mut lines = Vec::new();
    for child in children {
        let output = within(tokio::task::spawn_blocking(|| child.wait_with_output())).await.unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        lines.extend(text.lines().filter_map(|line| line.strip_prefix("@ ")).map(str::to_owned));
    }
    judge(home.path(), &engine, &lines).await;
    driver.stop().await;
}
