//! The driver made for the purpose: drives the runs of a home until it is asked to end, or until nothing is left to do.

use std::sync::Arc;

use agora_core::error::{Class, Problem};
use agora_engine::{Driver, Engine};
use serde::Serialize;

use crate::cli::Context;
use crate::cli::signals::Signals;
use crate::error::Failure;
use crate::output::Line;

/// When a driver ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Never.
    Asked,
    /// When nothing is left to do.
    Idle,
}

/// What is told of a driver.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Told<'a> {
    /// It waits for the lock, or has it.
    Serving { home: &'a str, driven_by_other: bool },
    /// It ended.
    Ended { why: &'a str },
}

/// Drives. A first signal drains: nothing new is started from here, what runs goes on and is found again by the next driver.
/// A second one does not wait for that.
///
/// # Errors
/// When signals cannot be listened for, or standard output is gone.
pub(crate) async fn drive(context: &Context, engine: &Arc<Engine>, until: Until) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let home = context.home.display().to_string();
    let driven_by_other = engine.driven();
    let driver = engine.drive();
    // Who ends when nothing is left to do waits for no slot.
    let schedules = (until == Until::Asked).then(|| engine.fire_schedules());
    context.out.event(&Told::Serving { home: &home, driven_by_other }, || {
        let more = if driven_by_other { "(another process drives it; waiting for its end)" } else { "" };
        Line::of("serving").and(&home).and(more)
    })?;
    let why = loop {
        match wait(&driver, &mut signals, until).await {
            // A run may have come after the last look: its submitter found a driver here and started none.
            Ok(why)
                if until == Until::Idle
                    && engine.has_open_runs().await.unwrap_or(false)
                    && !why.starts_with("asked") =>
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            other => break other,
        }
    };
    drop(schedules);
    let failure = driver.failure();
    tokio::select! {
        () = driver.stop() => {}
        // Nothing is lost by not waiting: the next driver finds boxes and records as a crash leaves them.
        () = signals.came() => tracing::warn!("asked again to end; not waiting"),
    }
    let Ok(why) = why else {
        let problem = failure.unwrap_or_else(|| {
            Problem::new(Class::Later, "driver-ended", "this process cannot drive any more; its log says why")
                .hint("run `agora-admin doctor`, then start it again")
        });
        return Err(Failure::one("drive", problem));
    };
    tracing::info!(why, "ending");
    context.out.event(&Told::Ended { why }, || Line::of("ended:").and(why))
}

async fn wait(driver: &Driver, signals: &mut Signals, until: Until) -> Result<&'static str, ()> {
    let idle = async {
        match until {
            Until::Idle => driver.idle().await,
            Until::Asked => std::future::pending().await,
        }
    };
    tokio::select! {
        true = idle => Ok("nothing is left to do"),
        () = driver.ended() => Err(()),
        () = signals.came() => Ok("asked to end; what runs goes on and is found again"),
    }
}
