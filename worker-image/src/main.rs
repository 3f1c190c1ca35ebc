//! `agora-worker --attempt DIR`: does the attempt in DIR. `agora-worker --version`: says which worker this is.
//!
//! Exit code 0: the outcome is written, whatever it says. 2: the arguments are wrong. 1: no outcome could be written.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use agora_core::error::Coded;
use agora_worker::{Fatal, Options, Stop, VERSION, run_attempt};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).with_target(false).without_time().init();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_str().unwrap_or_default()).collect();
    match arguments.as_slice() {
        ["--version"] => {
            // Nobody reading is no failure of a version.
            let _ = writeln!(io::stdout(), "agora-worker {VERSION}");
            ExitCode::SUCCESS
        }
        ["--attempt", folder] if !folder.is_empty() => attempt(Path::new(folder)),
        _ => {
            tracing::error!("usage: agora-worker --attempt DIR | --version");
            ExitCode::from(2)
        }
    }
}

fn attempt(folder: &Path) -> ExitCode {
    let stop = Stop::default();
    let done = listen(stop.clone())
        .map_err(|source| Fatal::Folder { folder: "of the signal handlers".to_owned(), source })
        .and_then(|()| run_attempt(folder, Options { stop, echo: Box::new(io::stdout()), ..Options::default() }));
    match done {
        Ok(_) => ExitCode::SUCCESS,
        Err(fatal) => {
            let hint = fatal.hint().unwrap_or_default();
            tracing::error!(code = fatal.code(), hint, "failed to {fatal}");
            ExitCode::FAILURE
        }
    }
}

/// Turns signals into the wish to stop, for as long as the process lives.
fn listen(stop: Stop) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            stop.request();
        }
    })?;
    Ok(())
}
