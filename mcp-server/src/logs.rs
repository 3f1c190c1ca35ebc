//! Logs: to standard error for whoever started the process, and to a file of the home for whoever looks later.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// What is logged unless `AGORA_LOG` says otherwise. rmcp warns of every refused request, and quotes it.
const FILTER: &str = "warn,rmcp=error,agora=info";

/// Bytes of the log file, after which it is put aside as `.1`, the one before it gone: weeks of ordinary use.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Starts to log. Without a home there is no file; one that is made later gets it then.
pub(crate) fn start(home: &Path, to_stderr: bool) {
    let filter = EnvFilter::try_from_env("AGORA_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER));
    let file = fmt::layer().with_ansi(false).with_writer(LogFile::new(home));
    let stderr = to_stderr.then(|| fmt::layer().with_ansi(false).with_writer(io::stderr).boxed());
    // A second subscriber is refused; the first one logs as well.
    let _ = tracing_subscriber::registry().with(filter).with(file).with(stderr).try_init();
}

/// Says why the process ends, where nobody may listen any more.
pub(crate) fn last_words(why: &str) {
    tracing::error!("{why}");
    if !tracing::enabled!(tracing::Level::ERROR) {
        // It failed before it could log.
        let _ = writeln!(io::stderr(), "agora-mcp: {why}");
    }
}

/// The log file, shared with other processes: every write is one line at its end.
struct LogFile {
    home: PathBuf,
    open: Mutex<Option<File>>,
}

impl LogFile {
    fn new(home: &Path) -> Self {
        Self { home: home.to_path_buf(), open: Mutex::new(None) }
    }

    fn path(&self) -> PathBuf {
        self.home.join("logs/agora-mcp.log")
    }

    /// Opens the file in a folder that is a home; nothing is ever written into one that is not.
    fn open(&self) -> io::Result<File> {
        let folder = self.home.join("logs");
        if !folder.is_dir() {
            if !self.home.join("agora.toml").is_file() && !self.home.join("store.db").is_file() {
                return Err(io::ErrorKind::NotFound.into());
            }
            fs::DirBuilder::new().mode(0o700).create(&folder)?;
        }
        OpenOptions::new().append(true).create(true).mode(0o600).open(self.path())
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may have put the file aside: what is open here is then not what has the name.
        let named = fs::metadata(self.path()).ok();
        let same = |file: &File| {
            let (here, named) = (file.metadata().ok(), named.as_ref());
            here.zip(named).is_some_and(|(here, named)| (here.dev(), here.ino()) == (named.dev(), named.ino()))
        };
        if !open.as_ref().is_some_and(same) {
            *open = Some(self.open()?);
        }
        if named.is_some_and(|named| named.len() + line.len() as u64 > FILE_BYTES_MAX) {
            fs::rename(self.path(), self.path().with_extension("log.1"))?;
            *open = Some(self.open()?);
        }
        open.as_mut().map_or(Ok(()), |file| file.write_all(line))
    }
}

/// One line on its way.
struct LogLine<'a>(&'a LogFile);

impl Write for LogLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A log that cannot be written must not stop what is logged; standard error has it too.
        let _ = self.0.write(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_home_gets_a_log_and_a_full_one_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::new(folder.path());
        assert!(log.write(b"lost\n").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        fs::write(folder.path().join("agora.toml"), "").unwrap();
        log.write(b"one\n").unwrap();
        assert_eq!(fs::read(log.path()).unwrap(), b"one\n");
        assert_eq!(fs::metadata(log.path()).unwrap().mode() & 0o777, 0o600);

        File::options().write(true).open(log.path()).unwrap().set_len(FILE_BYTES_MAX - 4).unwrap();
        log.write(b"two\n").unwrap();
        assert_eq!(fs::metadata(log.path()).unwrap().len(), FILE_BYTES_MAX);
        log.write(b"three\n").unwrap();
        assert_eq!(fs::read(log.path()).unwrap(), b"three\n");
        assert_eq!(fs::metadata(log.path().with_extension("log.1")).unwrap().len(), FILE_BYTES_MAX);

        // Another process puts it aside.
        fs::rename(log.path(), folder.path().join("elsewhere")).unwrap();
        log.write(b"four\n").unwrap();
        assert_eq!(fs::read(log.path()).unwrap(), b"four\n");
    }
}
