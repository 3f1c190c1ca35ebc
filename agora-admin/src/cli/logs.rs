//! What the program logs: to standard error for whoever started it, and to a file of the home when it drives.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// The log file of a driver, in the home.
pub(crate) const FILE: &str = "logs/agora-admin.log";
/// Bytes of the log file, after which the next driver puts it aside as `.1`: weeks of ordinary use.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// What a driver logs unless `AGORA_LOG` says otherwise.
const FILTER_DRIVER: &str = "warn,agora=info";
/// What the other verbs log: their answers say the rest.
const FILTER_VERB: &str = "error";

/// Who reads what is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Whoever typed a verb.
    Verb,
    /// A service manager, and the file.
    Service,
    /// The file alone.
    Detached,
}

/// Starts to log. A file that cannot be opened is done without.
pub(crate) fn start(home: &Path, reader: Reader) {
    let default = if reader == Reader::Verb { FILTER_VERB } else { FILTER_DRIVER };
    let filter = EnvFilter::try_from_env("AGORA_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let file = (reader != Reader::Verb).then(|| open(home).ok()).flatten();
    let file = file.map(|file| fmt::layer().with_ansi(false).with_writer(Mutex::new(file)).boxed());
    let stderr = (reader != Reader::Detached).then(|| fmt::layer().with_ansi(false).with_writer(io::stderr).boxed());
    // A second subscriber is refused; the first one logs as well.
    let _ = tracing_subscriber::registry().with(filter).with(file).with(stderr).try_init();
}

fn open(home: &Path) -> io::Result<File> {
    let path = home.join(FILE);
    if fs::metadata(&path).is_ok_and(|found| found.len() > FILE_BYTES_MAX) {
        fs::rename(&path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_full_log_is_put_aside_and_nobody_else_reads_it() {
        let home = tempfile::tempdir().unwrap();
        assert!(open(home.path()).is_err(), "nothing is made in a folder that is no home");
        fs::create_dir(home.path().join("logs")).unwrap();
        let file = open(home.path()).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        file.set_len(FILE_BYTES_MAX).unwrap();
        assert_eq!(open(home.path()).unwrap().metadata().unwrap().len(), FILE_BYTES_MAX);
        file.set_len(FILE_BYTES_MAX + 1).unwrap();
        assert_eq!(open(home.path()).unwrap().metadata().unwrap().len(), 0);
    }
}
