//! The auditor's tool. This version reads no bundle yet, and says so instead of passing a verdict.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Could not tell: the exit code of every verdict that could not be reached.
const UNTOLD: u8 = 2;

/// Checks the evidence of a run, offline, from its bundle.
#[derive(Debug, Parser)]
#[command(name = "agora-verify", version)]
#[command(
    after_help = "Exit code 2: could not tell. This version reads no bundles; `agora-admin audit RUN` verifies a run where it ran."
)]
struct Cli {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Cli { bundle } = Cli::parse();
    let what = bundle.map(|path| format!("{}: ", path.display())).unwrap_or_default();
    // With nobody to read it, the exit code says the same.
    let _gone = writeln!(
        std::io::stderr(),
        "error: failed to verify [not-available]\n  \
         why: {what}bundles come with a later version of agora-verify; {} {} checks nothing\n  \
         next: run `agora-admin audit RUN` where the run is",
        env!("CARGO_BIN_NAME"),
        env!("CARGO_PKG_VERSION")
    );
    ExitCode::from(UNTOLD)
}
