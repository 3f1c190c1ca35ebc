//! The detached copy that goes on driving when the client is gone and runs are open.
//!
//! ```text
//! this process: client gone ─ start copy ─ wait for its line ─ stop driver (lock free) ─ end
//! the copy:                   own session ─ open ─ drive, waiting for the lock ─ line ─ … ─ idle ─ end
//! ```

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::cli::Settings;
use crate::home;
use crate::stop::Stop;

/// What the copy says once it waits for the lock.
const READY: &str = "driving";

/// How long the copy may take to say so. Clients kill what has not ended some seconds after they closed its input.
const READY_TIME_MAX: Duration = Duration::from_millis(1500);

/// Starts the copy and waits until it is ready to take over.
///
/// # Errors
/// When it does not start or does not get that far.
pub(crate) async fn hand_over(home: &Path) -> io::Result<()> {
    let mut copy = Command::new(std::env::current_exe()?)
        .arg("--drive-until-idle")
        .arg("--home")
        .arg(home)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = copy.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut lines = BufReader::new(output).lines();
    match tokio::time::timeout(READY_TIME_MAX, lines.next_line()).await {
        Ok(Ok(Some(line))) if line == READY => Ok(()),
        Ok(Ok(_)) => Err(io::Error::other("the copy ended before it was ready")),
        Ok(Err(error)) => Err(error),
        // It is alive and slow. It waits for the lock like any other process, so it is left to it.
        Err(_) => Ok(()),
    }
}

/// Is the copy: drives until nothing is left to do, or until it is asked to end.
///
/// # Errors
/// When the home does not open.
pub(crate) async fn drive_until_idle(settings: &Settings, stop: Stop) -> anyhow::Result<()> {
    // A session of its own, so that a client which kills its group does not reach it. It fails only for the leader of a
    // group, which has what is wanted.
    let _ = rustix::process::setsid();
    let engine = home::open(&settings.home).await?;
    let driver = engine.drive();
    let mut output = io::stdout();
    // Whoever started this may be gone already.
    let _ = writeln!(output, "{READY}").and_then(|()| output.flush());
    tracing::info!(home = %settings.home.display(), "driving until nothing is left to do");
    tokio::select! {
        idle = driver.idle() => {
            if idle {
                tracing::info!("nothing is left to do");
            } else {
                tracing::error!("this process cannot drive any more");
            }
        }
        () = stop.stopped() => tracing::info!("asked to end"),
    }
    driver.stop().await;
    Ok(())
}
