//! The auditor's tool: a bundle and a trust policy in, a verdict and an exit code out. It opens no socket.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agora_core::audit::verify::{Evidence, FETCHED_BYTES_MAX, Requirement, SPEC, Verifier, verify};
use agora_core::id::Digest;
use agora_core::limits::{BUNDLE_BYTES_MAX, POLICY_BYTES_MAX};
use clap::Parser;

/// The exit code of a usage that is wrong, and of every verdict that could not be reached.
const COULD_NOT_CHECK: u8 = 2;
/// Checks the evidence of a run, offline, from its bundle
#[derive(Debug, Parser)]
#[command(name = "agora-verify", version)]
#[command(after_help = "Exit code 0: verified. 1: a check failed. 2: could not check all that was asked for.\n\
    Without --policy the bundle's own keys are believed, and all is self-asserted.")]
struct Cli {
    /// The bundle, as `agora-admin audit RUN --out FILE` wrote it
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The trust policy, which you have by another way than the bundle
    #[arg(long, value_name = "TRUST.TOML")]
    policy: Option<PathBuf>,
    /// What you require: a value of an axis, met by it and by stronger ones; may be given several times
    #[arg(long, value_name = "VALUE", value_parser = Requirement::parse)]
    require: Vec<Requirement>,
    /// What a live check of an anchor fetched
    #[arg(long, value_name = "FETCHED.JSON")]
    anchor: Option<PathBuf>,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let bundle = read(&cli.bundle, BUNDLE_BYTES_MAX);
    let policy = cli.policy.as_deref().map(|path| read(path, POLICY_BYTES_MAX as u64).and_then(text));
    let fetched = cli.anchor.as_deref().map(|path| read(path, FETCHED_BYTES_MAX));
    let evidence = Evidence {
        bundle: bundle.as_deref().map_err(Clone::clone),
        policy: policy.as_ref().map(|policy| policy.as_deref().map_err(Clone::clone)),
        require: &cli.require,
        fetched: fetched.as_ref().map(|fetched| fetched.as_deref().map_err(Clone::clone)),
    };
    let verifier =
        Verifier { version: env!("CARGO_PKG_VERSION").to_owned(), spec: SPEC.to_owned(), binary: own_digest() };
    let report = verify(&evidence, verifier);
    let shown = match cli.json {
        true => report.to_json(),
        false => report.to_string(),
    };
    match io::stdout().write_all(shown.as_bytes()) {
        Ok(()) => ExitCode::from(report.verdict.exit_code()),
        // A verdict that nobody could read is none.
        Err(_) => ExitCode::from(COULD_NOT_CHECK),
    }
}

/// Reads a file; one that is longer than may be says so rather than fill the memory.
fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// The digest of this program, so that a report says what made it.
fn own_digest() -> Option<Digest> {
    std::fs::read(std::env::current_exe().ok()?).ok().map(|bytes| Digest::of(&bytes))
}
