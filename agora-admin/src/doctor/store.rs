//! The journal, its projections, the bytes of results, and who drives.

use agora_engine::Engine;
use agora_engine::operations::{CheckStatus, OpError, StoreCheck};

use super::check::{Check, Status};
use super::schedules::schedules;
use crate::cli::Context;
use crate::error::Failure;

/// Looks at the store through the engine, which changes nothing for it. With it comes why the engine does not open, if it
/// does not.
pub(super) async fn store(context: &Context, deep: bool) -> (Vec<Check>, Option<Failure>) {
    if !Engine::has_store(&context.home) {
        let none = Check::warn(
            "store",
            "there is no store.db: nothing was submitted yet, or it was lost",
            "if there were runs, restore it from the last backup",
        );
        return (vec![none], None);
    }
    let engine = match context.engine().await {
        Ok(engine) => engine,
        Err(failure) => {
            let checks = failure.problems.iter().map(|problem| Check::problem("store", problem)).collect();
            return (checks, Some(failure));
        }
    };
    let mut checks = match engine.check_store(deep).await {
        Ok(rows) => rows.into_iter().map(row).collect(),
        Err(error) => error.problems.iter().map(|problem| Check::problem("store", problem)).collect::<Vec<_>>(),
    };
    let driver = driver(&engine, &checks).await;
    checks.push(driver);
    checks.extend(schedules(&engine).await);
    (checks, None)
}

/// Who drives, or why nobody can.
async fn driver(engine: &Engine, store: &[Check]) -> Check {
    let failed = |error: OpError| Check::problem("driver", &error.first());
    match (engine.lock_held(), engine.has_open_runs().await) {
        (Err(error), _) | (Ok(false), Err(error)) => failed(error),
        (Ok(true), _) => Check::ok("driver", "a process drives this home"),
        (Ok(false), Ok(false)) => Check::ok("driver", "nothing is left to drive"),
        (Ok(false), Ok(true)) => undriven(store),
    }
}

/// Runs are open and nobody drives. Driving appends to what is there: not before what failed of it is mended.
fn undriven(store: &[Check]) -> Check {
    let remedy = match store.iter().any(|check| check.status() == Status::Fail) {
        true => "mend what failed of the store first: a driver would go on from what is damaged",
        false => "run `agora-admin serve`",
    };
    Check::warn("driver", "runs are open and nobody drives them", remedy)
}

fn row(row: StoreCheck) -> Check {
    let status = match row.status {
        CheckStatus::Ok => Status::Ok,
        CheckStatus::Warn => Status::Warn,
        CheckStatus::Fail => Status::Fail,
        CheckStatus::Unknown => Status::Unknown,
    };
    let run = row.run_id.map(|run| format!("run {run}: ")).unwrap_or_default();
    Check::with(row.code, status, format!("{run}{}", row.detail), row.hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_drive_a_damaged_store() {
        let (ok, warn) = (Check::ok("run-journal", "1 run"), Check::warn("run-log", "x", "y"));
        assert_eq!(undriven(&[ok.clone(), warn]).remedy(), Some("run `agora-admin serve`"));
        let broken = undriven(&[ok, Check::fail("run-journal", "x", "y")]);
        assert!(!broken.remedy().unwrap().contains("agora-admin serve"), "{broken:?}");
    }
}
