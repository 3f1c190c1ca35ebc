//! The journal, its projections, the bytes of results, and who drives.

use agora_engine::Engine;
use agora_engine::operations::{CheckStatus, OpError, StoreCheck};

use super::check::{Check, Status};
use crate::cli::Context;

/// Looks at the store through the engine, which changes nothing for it.
pub(super) async fn store(context: &Context, deep: bool) -> Vec<Check> {
    if !Engine::has_store(&context.home) {
        return vec![Check::warn(
            "store",
            "there is no store.db: nothing was submitted yet, or it was lost",
            "if there were runs, restore it from the last backup",
        )];
    }
    let engine = match context.engine().await {
        Ok(engine) => engine,
        Err(failure) => return failure.problems.iter().map(|problem| Check::problem("store", problem)).collect(),
    };
    let mut checks = match engine.check_store(deep).await {
        Ok(rows) => rows.into_iter().map(row).collect(),
        Err(error) => error.problems.iter().map(|problem| Check::problem("store", problem)).collect::<Vec<_>>(),
    };
    checks.push(driver(&engine).await);
    checks
}

/// Who drives, or why nobody can.
async fn driver(engine: &Engine) -> Check {
    let failed = |error: OpError| Check::problem("driver", &error.first());
    match (engine.lock_held(), engine.has_open_runs().await) {
        (Err(error), _) | (Ok(false), Err(error)) => failed(error),
        (Ok(true), _) => Check::ok("driver", "a process drives this home"),
        (Ok(false), Ok(false)) => Check::ok("driver", "nothing is left to drive"),
        (Ok(false), Ok(true)) => {
            Check::warn("driver", "runs are open and nobody drives them", "run `agora-admin serve`")
        }
    }
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
