//! Signed statements of what was accepted, and the checkpoints of the log that are kept for them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use agora_core::audit::dsse::AttestKey;
use agora_core::audit::policy::KeyRole;
use agora_core::audit::policy::PublicKey;
use agora_core::audit::statement::Gather;
use agora_core::id::Digest;
use agora_core::record::Entry;
use agora_core::worker::{Outcome, OutputReport, Status, Task};
use agora_engine::keys::{Keys, Role};
use agora_engine::operations::{CheckStatus, StatementsReply};
use agora_engine::{Engine, p256};
use agora_testkit::fakes::{FakeCompute, outcome_of};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rusqlite::Connection;

use crate::common::{Home, caller, check, code_of, failed, fan_out, item, plan, submit, wait_end, within};
use crate::evidence::{entries, log};
use crate::keys::{OLD_ATTEST, change_of, stage};

/// Every attempt hands out one file, but for those of the item `nothing`.
fn with_output() -> FakeCompute {
    FakeCompute::new(|task: &Task, folder: &Path| -> Outcome {
        let mut outcome = outcome_of(task, Status::Done);
        if task.attempt.item.as_str() != "nothing" {
            std::fs::write(folder.join("out/outputs.pack"), b"x").unwrap();
            outcome.outputs = vec![OutputReport { path: "report.txt".into(), digest: Digest::of(b"x"), size_bytes: 1 }];
        }
        outcome
    })
}

/// Gives a home the P-256 key, as `agora-admin init` does.
fn give_p256(home: &Path) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let private = p256::private_path(home);
    std::fs::write(&private, p256::pem("PRIVATE KEY", document.as_ref())).unwrap();
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
    let point = p256::point_of(&p256::open_pair(home).unwrap().unwrap()).unwrap();
    std::fs::write(p256::trusted_path(home), p256::public_pem(&point)).unwrap();
}

fn attest_keys(home: &Path) -> Vec<AttestKey> {
    let keys = Keys::open(home).unwrap();
    let attest = keys.signer(Role::Attest);
    let mut all = vec![AttestKey { name: attest.name().to_owned(), key: PublicKey::Ed25519(attest.public_key()) }];
    all.extend(
        keys.attest_p256().map(|key| AttestKey { name: key.name().to_owned(), key: PublicKey::P256(*key.point()) }),
    );
    all
}

fn sql(home: &Home, text: &str) {
    Connection::open(home.path().join("store.db")).unwrap().execute_batch(text).unwrap();
}

async fn run(engine: &std::sync::Arc<Engine>, plan: serde_json::Value) {
    let id = plan["id"].as_str().unwrap().to_owned();
    let driver = engine.drive();
    submit(engine, plan).await;
    wait_end(engine, &[id.as_str()]).await;
    within(driver.idle()).await;
    driver.stop().await;
}

async fn statements(engine: &Engine, run: &str) -> StatementsReply {
    engine.statements(&caller(), run).await.unwrap()
}

/// The items of the statements, each verified with as many keys as there are.
fn verified(home: &Home, reply: &StatementsReply, signatures: usize) -> Vec<String> {
    let keys = attest_keys(home.path());
    for row in &reply.statements {
        assert_eq!(row.envelope.open(&keys).unwrap().keys.len(), signatures);
    }
    reply.statements.iter().map(|row| row.item.to_string()).collect()
}

#[tokio::test]
async fn what_was_accepted_is_stated_once_by_both_keys_and_as_the_entries_have_it() {
    let home = Home::with(with_output()).await;
    give_p256(home.path());
    let engine = home.open().await;
    run(&engine, plan("run", vec![item("a", &[]), item("nothing", &["a"]), item("b", &["a"])])).await;
    check(&engine, &["run"]).await;
    let reply = statements(&engine, "run").await;
    let mut items = verified(&home, &reply, 2);
    items.sort();
    assert_eq!(items, ["a", "b"], "an attempt that made nothing has no statement");
    let mut gather = Gather::default();
    let derived = entries(home.path()).into_iter().map(|bytes| Entry::from_bytes(&bytes).unwrap());
    let derived: Vec<_> = derived.filter_map(|entry| gather.read(entry).unwrap()).collect();
    let stored: Vec<_> = reply.statements.iter().map(|row| (row.seq, row.envelope.payload.clone())).collect();
    assert_eq!(stored, derived.into_iter().map(|one| (one.seq, one.payload)).collect::<Vec<_>>());
    // One signature is made with random numbers: what is handed out again is what was kept.
    let other = home.open().await;
    assert_eq!(statements(&other, "run").await, reply);
}

#[tokio::test]
async fn the_log_names_the_second_key_when_it_is_opened_or_when_the_key_comes() {
    let home = Home::new().await;
    give_p256(home.path());
    drop(home.open().await);
    let keys = log(home.path())[0]["body"]["keys"].as_array().unwrap().clone();
    assert_eq!((keys.len(), keys[3]["alg"].as_str()), (4, Some("ecdsa-p256")));
    assert_eq!(
        (keys[3]["role"].as_str(), keys[3]["name"].as_str().unwrap().ends_with("/attest-p256")),
        (Some("attest"), true)
    );
    assert_eq!(Engine::recorded(home.path()).unwrap().keys.len(), 4);

    let home = Home::new().await;
    drop(home.open().await);
    assert_eq!(Engine::recorded(home.path()).unwrap().keys.len(), 3);
    give_p256(home.path());
    drop((home.open().await, home.open().await));
    let kinds: Vec<_> = log(home.path()).iter().map(|entry| entry["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["log.opened", "key.added"]);
    assert_eq!(log(home.path())[1]["body"]["name"], "test.local/0011aabb/attest-p256");
    assert_eq!(Engine::recorded(home.path()).unwrap().keys.len(), 4);
    // Another key takes its place by no mere change of files.
    let own = std::fs::read(p256::private_path(home.path())).unwrap();
    let public = std::fs::read(p256::trusted_path(home.path())).unwrap();
    give_p256(home.path());
    assert_eq!(code_of(home.try_open().await), "key-mismatch");
    std::fs::write(p256::private_path(home.path()), own).unwrap();
    std::fs::write(p256::trusted_path(home.path()), public).unwrap();
    drop(home.open().await);
}

#[tokio::test]
async fn one_half_of_the_second_key_is_refused_and_none_or_both_are_not() {
    let home = Home::new().await;
    drop(home.open().await);
    give_p256(home.path());
    drop(home.open().await);
    let (private, public) = (p256::private_path(home.path()), p256::trusted_path(home.path()));
    let aside = home.path().join("aside");
    std::fs::rename(&private, &aside).unwrap();
    assert_eq!(code_of(home.try_open().await), "key-lost");
    std::fs::rename(&aside, &private).unwrap();
    std::fs::rename(&public, &aside).unwrap();
    assert_eq!(code_of(home.try_open().await), "keys-missing");
    std::fs::rename(&aside, &public).unwrap();
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(code_of(home.try_open().await), "key-mode");
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
    drop(home.open().await);
}

/// A run of an earlier version has no statements until somebody asks, and is given those that could have been made then.
#[tokio::test]
async fn a_run_that_was_sealed_without_statements_is_given_them_once() {
    let home = Home::with(with_output()).await;
    let engine = home.open().await;
    run(&engine, fan_out("before", 2)).await;
    sql(&home, "DELETE FROM statement");
    drop(engine);
    give_p256(home.path());
    let (one, two) = (home.open().await, home.open().await);
    let (first, second) = tokio::join!(statements(&one, "before"), statements(&two, "before"));
    assert_eq!(first, second);
    assert_eq!(verified(&home, &first, 1).len(), 2, "the second key was not there when the run was sealed");

    run(&one, fan_out("after", 2)).await;
    sql(&home, "DELETE FROM statement WHERE run = (SELECT key FROM runs WHERE id = 'after')");
    let (first, second) = tokio::join!(statements(&one, "after"), statements(&two, "after"));
    assert_eq!(first, second);
    assert_eq!(verified(&home, &first, 2).len(), 2);
    check(&one, &["before", "after"]).await;
}

/// The key that signs statements is replaced, after those that are missing were made or without that.
async fn replace_attest(home: &Home, engine: &Engine, state_late: bool) {
    stage(home, Role::Attest, OLD_ATTEST);
    let held = engine.undriven().unwrap();
    if state_late {
        engine.state_late(&held, &caller()).await.unwrap();
    }
    let change = change_of(home, (Role::Attest, KeyRole::Attest), OLD_ATTEST, OLD_ATTEST);
    let _at = engine.change_keys(&held, &caller(), change).await.unwrap();
}

#[tokio::test]
async fn statements_of_before_their_key_was_replaced_are_handed_out_and_missing_ones_are_made_before_it() {
    for state_late in [true, false] {
        let home = Home::with(with_output()).await;
        give_p256(home.path());
        let engine = home.open().await;
        run(&engine, fan_out("kept", 1)).await;
        run(&engine, fan_out("late", 1)).await;
        let good = statements(&engine, "kept").await;
        sql(&home, "DELETE FROM statement WHERE run = (SELECT key FROM runs WHERE id = 'late')");
        replace_attest(&home, &engine, state_late).await;
        let other = home.open().await;
        for engine in [&engine, &other] {
            assert_eq!(statements(engine, "kept").await, good);
            match state_late {
                true => assert_eq!(statements(engine, "late").await.statements[0].envelope.signatures.len(), 2),
                // No key of now speaks where that run was sealed.
                false => assert_eq!(code_of(engine.statements(&caller(), "late").await), "key-window"),
            }
        }
        run(&other, fan_out("after", 1)).await;
        assert_eq!(statements(&other, "after").await.statements.len(), 1);
        check(&other, &["kept", "after"]).await;
        match state_late {
            true => check(&other, &["late"]).await,
            false => assert_eq!(failed(&other, "late").await, ["key-window"]),
        }
        // What the new key signed is not one of before it, nor the reverse.
        sql(
            &home,
            "CREATE TABLE kept AS SELECT * FROM statement; UPDATE statement SET envelope =
               (SELECT k.envelope FROM kept k, runs r WHERE k.run = r.key AND r.id = 'after')
             WHERE run = (SELECT key FROM runs WHERE id = 'kept')",
        );
        assert_eq!(code_of(other.statements(&caller(), "kept").await), "store-damaged");
    }
}

#[tokio::test]
async fn nothing_is_signed_of_entries_that_are_not_those_of_the_checkpoint() {
    let home = Home::with(with_output()).await;
    let engine = home.open().await;
    run(&engine, fan_out("run", 1)).await;
    let set = |from: &str, to: &str| {
        sql(&home, &format!("UPDATE entries SET bytes = CAST(replace(CAST(bytes AS TEXT), '{from}', '{to}') AS BLOB)"));
    };
    sql(&home, "DELETE FROM statement");
    set("\"handle\":\"", "\"handle\":\"x");
    assert_eq!(code_of(engine.statements(&caller(), "run").await), "store-damaged");
    set("\"handle\":\"x", "\"handle\":\"");
    assert_eq!(statements(&engine, "run").await.statements.len(), 1);
}

#[tokio::test]
async fn a_kept_statement_that_is_another_is_not_handed_out() {
    let home = Home::with(with_output()).await;
    give_p256(home.path());
    let engine = home.open().await;
    run(&engine, fan_out("run", 2)).await;
    let good = statements(&engine, "run").await;
    sql(&home, "CREATE TABLE kept AS SELECT * FROM statement");
    for change in [
        "DELETE FROM statement WHERE seq = (SELECT max(seq) FROM statement)",
        // That of one item for that of another: signed well.
        "UPDATE statement SET envelope = (SELECT k.envelope FROM kept k WHERE k.seq <> statement.seq)",
        "UPDATE statement SET envelope = CAST(replace(CAST(envelope AS TEXT), '/attest-p256', '/attest') AS BLOB)",
        "UPDATE statement SET envelope = x'7b7d'",
    ] {
        sql(&home, change);
        assert_eq!(code_of(engine.statements(&caller(), "run").await), "store-damaged", "{change}");
        assert_eq!(failed(&engine, "run").await, ["store-damaged"], "{change}");
        sql(&home, "DELETE FROM statement; INSERT INTO statement SELECT * FROM kept");
        assert_eq!(statements(&engine, "run").await, good);
    }
    // The files of the second key are not needed to verify what it signed.
    for file in [p256::private_path(home.path()), p256::trusted_path(home.path())] {
        std::fs::remove_file(file).unwrap();
    }
    let other = home.open().await;
    assert_eq!(statements(&other, "run").await, good);
}

#[tokio::test]
async fn a_run_that_is_not_sealed_has_no_statements_yet() {
    let home = Home::with(with_output()).await;
    let engine = home.open().await;
    submit(&engine, fan_out("run", 1)).await;
    assert_eq!(code_of(engine.statements(&caller(), "run").await), "run-not-sealed");
    let driver = engine.drive();
    wait_end(&engine, &["run"]).await;
    driver.stop().await;
    assert_eq!(statements(&engine, "run").await.statements.len(), 1);
    assert_eq!(code_of(engine.statements(&caller(), "other").await), "run-unknown");
}

/// One checkpoint is kept for each thing that needs one, and none that covers nothing new.
#[tokio::test]
async fn checkpoints_of_the_log_are_kept_for_what_they_cover_first() {
    let home = Home::new().await;
    let engine = home.open().await;
    for id in ["one", "two"] {
        run(&engine, fan_out(id, 1)).await;
    }
    let covered: Vec<i64> = log(home.path())
        .iter()
        .filter(|entry| entry["type"] == "run.sealed")
        .map(|entry| entry["seq"].as_i64().unwrap() + 1)
        .collect();
    let conn = Connection::open(home.path().join("store.db")).unwrap();
    let sizes = || {
        let mut statement = conn.prepare("SELECT size FROM log_note ORDER BY size").unwrap();
        statement.query_map([], |row| row.get::<_, i64>(0)).unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    let kept = sizes();
    for size in &covered {
        assert!(kept.iter().any(|kept| kept >= size), "{size}: {kept:?}");
    }
    // The opening of a run alone is nothing to keep one for.
    let driver = engine.drive();
    submit(&engine, plan("open", vec![item("a", &[])])).await;
    wait_end(&engine, &["open"]).await;
    within(driver.idle()).await;
    driver.stop().await;
    let after = sizes();
    assert_eq!((&after[..kept.len()], after.len()), (&kept[..], kept.len() + 1), "none is replaced");
    check(&engine, &["one", "two", "open"]).await;
    // They are looked at.
    conn.execute("UPDATE log_note SET size = size + 1 WHERE size = (SELECT max(size) FROM log_note)", []).unwrap();
    let rows = engine.check_store(false).await.unwrap();
    let failed: Vec<_> = rows.iter().filter(|row| row.status != CheckStatus::Ok).collect();
    assert!(
        matches!(failed[..], [row] if row.detail.starts_with("checkpoint-size: the kept checkpoint")),
        "{failed:?}"
    );
}

/// C12: what a large run accepted is signed with work in proportion to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_statements() {
    const ITEMS: usize = 1_000;
    let home = Home::with(with_output()).await;
    give_p256(home.path());
    let engine = home.open().await;
    run(&engine, fan_out("run", ITEMS)).await;
    assert_eq!(statements(&engine, "run").await.statements.len(), ITEMS);
    // The same work alone.
    sql(&home, "DELETE FROM statement");
    let started = std::time::Instant::now();
    let reply = statements(&engine, "run").await;
    println!("{ITEMS} statements: read, signed twice, kept and read again in {:.1?}", started.elapsed());
    assert_eq!(reply.statements.len(), ITEMS);
}
