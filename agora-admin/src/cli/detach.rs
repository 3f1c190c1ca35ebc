//! A driver that goes on after this process: who drives now, and a detached `serve --until-idle`.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use agora_engine::Engine;
use serde::Serialize;

use super::context::Context;
use crate::error::{Doing as _, Failure};
use crate::output::{Cell, Line, Style};

/// What becomes of open runs when this process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Driving {
    /// Another process drives.
    Other,
    /// A driver was started in the background.
    Started,
    /// Nobody drives.
    Nobody,
    /// Nothing is left to do.
    Idle,
}

/// Sees to it that open runs go on without this process, if the configuration wants it.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn hand_over(context: &Context, engine: &Engine) -> Result<Driving, Failure> {
    if engine.driven() {
        return Ok(Driving::Other);
    }
    if !engine.has_open_runs().await.doing("look for open runs")? {
        return Ok(Driving::Idle);
    }
    if !engine.lingers() {
        return Ok(Driving::Nobody);
    }
    match start(&context.home) {
        Ok(()) => Ok(Driving::Started),
        Err(error) => {
            tracing::error!(%error, "failed to leave a driver behind");
            Ok(Driving::Nobody)
        }
    }
}

/// Starts `serve --until-idle` with nothing of this process but its environment; it makes a session of its own.
fn start(home: &Path) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--home").arg(home).args(["serve", "--until-idle", "--detached"]).current_dir(home);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop)
}

impl Driving {
    /// Tells people what becomes of the run.
    pub(crate) fn tell(self, context: &Context) {
        let line = match self {
            Self::Other => "another process drives it".to_owned(),
            Self::Started => {
                format!(
                    "a driver goes on in the background; it logs to {}",
                    context.home.join(super::logs::FILE).display()
                )
            }
            Self::Nobody => "nobody drives it: run `agora-admin serve`".to_owned(),
            Self::Idle => return,
        };
        let style = if self == Self::Nobody { Style::Warn } else { Style::Dim };
        context.out.note(Line::of(Cell::new(line).style(style)));
    }
}
