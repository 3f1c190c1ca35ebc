//! What evidence costs: sealing a run of 10,000 items with a signed statement each, exporting and verifying it, and
//! verifying a log of 1,000,000 entries. `cargo bench -p agora-engine --bench evidence`.
//!
//! Verification is that of `agora-verify`: from the bytes of a bundle to the report, in one thread.

#![expect(clippy::unwrap_used, reason = "a panic in a measurement is the failure")]
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::time::{Duration, Instant};

use agora_core::audit::bundle::{B64, Bundle};
use agora_core::audit::chain::{ChainHead, LOG_SEED};
use agora_core::audit::checkpoint::Checkpoint;
use agora_core::audit::verify::{Evidence, SPEC, Verdict, Verifier, verify};
use agora_core::id::{Digest, RunId};
use agora_core::record::{Entry, LogEntry, LogRecord, Record, RegistryRef, RunOutcome};
use agora_core::worker::{OutputReport, Status};
use agora_engine::keys::{Keys, Role};
use agora_engine::operations::ExportArgs;
use agora_testkit::fakes::{FakeCompute, outcome_of};

#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
#[path = "../tests/common/mod.rs"]
mod common;

use common::{Home, caller, fan_out, submit, wait_end};

/// Items of the run, each with an output, so that each has a statement.
const ITEMS: usize = 10_000;
/// Entries of the log.
const ENTRIES: u64 = 1_000_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let home = Home::with(with_output()).await;
        run(&home).await;
        log(&home).await;
    });
}

fn with_output() -> FakeCompute {
    FakeCompute::new(|task, folder| {
        let mut outcome = outcome_of(task, Status::Done);
        std::fs::write(folder.join("out/outputs.pack"), b"x").unwrap();
        outcome.outputs = vec![OutputReport { path: "report.txt".into(), digest: Digest::of(b"x"), size_bytes: 1 }];
        outcome
    })
}

/// A run from its completion to its seal, to its bundle, to the report.
async fn run(home: &Home) {
    let engine = home.open().await;
    let driver = engine.drive();
    submit(&engine, fan_out("run", ITEMS)).await;
    wait_end(&engine, &["run"]).await;
    driver.idle().await;
    driver.stop().await;
    let wish = ExportArgs { run_id: "run".to_owned(), ..ExportArgs::default() };
    let started = Instant::now();
    let bytes = engine.export_run(&caller(), wish).await.unwrap();
    let exported = started.elapsed();
    let Bundle::Run(bundle) = Bundle::parse(&bytes).unwrap() else { panic!("not a bundle of a run") };
    let entries = bundle.entries.iter().map(|entry| Entry::from_bytes(entry.as_bytes()).unwrap());
    let completed = entries.rev().find(|entry| matches!(entry.record, Record::RunCompleted { .. })).unwrap().at;
    let sealed = LogEntry::from_bytes(bundle.log.sealed.unwrap().entry.as_bytes()).unwrap().at;
    println!(
        "run of {ITEMS} items, {} entries, {} statements: sealed {:.2} s after its end; bundle of {:.0} MB exported in {:.2} s, verified in {:.2} s",
        bundle.manifest.entries,
        bundle.manifest.statements,
        sealed.ms_since(completed) as f64 / 1e3,
        bytes.len() as f64 / 1e6,
        exported.as_secs_f64(),
        verified(&bytes).as_secs_f64(),
    );
}

/// The log of a home, made longer by runs that were opened and sealed.
async fn log(home: &Home) {
    let engine = home.open().await;
    let bytes = engine.export_log(&[]).await.unwrap();
    let Bundle::Log(mut bundle) = Bundle::parse(&bytes).unwrap() else { panic!("not a bundle of the log") };
    let origin = bundle.manifest.origin.as_str().to_owned();
    let mut head = ChainHead::new(&origin, LOG_SEED);
    let mut last = None;
    for entry in &bundle.log.entries {
        let read = LogEntry::from_bytes(entry.as_bytes()).unwrap();
        head.advance(entry.as_bytes(), read.at);
        last = Some(read);
    }
    let (at, actor) = last.map(|last| (last.at, last.actor)).unwrap();
    let registry = RegistryRef { version: 1, digest: Digest::of(b"r"), note: Digest::of(b"n") };
    while head.next_seq() < ENTRIES {
        let seq = head.next_seq();
        let id = |seq: u64| RunId::new(format!("r-{seq}")).unwrap();
        let (plan, registry) = (Digest::of(&seq.to_be_bytes()), registry.clone());
        let opened = LogRecord::RunOpened { run: id(seq), plan, registry, first: head.prev() };
        let sealed = |opened| LogRecord::RunSealed {
            run: id(opened),
            opened,
            size: 40,
            root: head.prev(),
            outcome: RunOutcome::Done,
        };
        let is_open = matches!(bundle.log.entries.last(), Some(entry) if entry.contains("\"type\":\"run.opened\""));
        let record = if is_open { sealed(seq - 1) } else { opened };
        let entry =
            LogEntry { seq, prev: head.prev(), at, actor: actor.clone(), auth: None, record }.to_bytes().unwrap();
        head.advance(&entry, at);
        bundle.log.entries.push(String::from_utf8(entry).unwrap());
    }
    let signer = Keys::open(home.path()).unwrap().signer(Role::Log);
    let checkpoint = Checkpoint { origin, size: head.size(), root: head.root() };
    let signature = signer.sign(checkpoint.text().as_bytes()).await.unwrap();
    bundle.log.checkpoint = B64(checkpoint.sign(signer.name(), &signer.public_key(), &signature).unwrap());
    let bytes = Bundle::Log(bundle).to_bytes().unwrap();
    let took = verified(&bytes).as_secs_f64();
    println!(
        "log of {ENTRIES} entries, {:.0} MB: verified in {took:.2} s, {:.0} entries/s",
        bytes.len() as f64 / 1e6,
        ENTRIES as f64 / took,
    );
}

fn verified(bytes: &[u8]) -> Duration {
    let started = Instant::now();
    let evidence = Evidence { bundle: Ok(bytes), policy: None, require: &[], fetched: None };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let report = verify(&evidence, Verifier { version, spec: SPEC.to_owned(), binary: None });
    let took = started.elapsed();
    assert_eq!(report.verdict, Verdict::Verified, "{report}");
    took
}
