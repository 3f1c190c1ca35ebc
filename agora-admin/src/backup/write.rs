//! Making a backup of a home that is in use.
//!
//! The order is what makes it whole: the store first, as it is at one moment; then the registry, which is never older than
//! what the store has accepted; then the blobs, since a blob is there before anything names it. What is added meanwhile may
//! be in it or not; nothing that is in it misses anything.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use agora_core::id::Digest;
use agora_core::time::Time;
use agora_engine::Engine;
use agora_engine::operations::OpError;
use agora_engine::upkeep::Upkeep;
use rustix::fs::OFlags;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::format::{
    BLOBS, FILES, FOLDERS, FORMAT, FORMAT_FILE, Fact, MANIFEST_FILE, Manifest, STORE, blob_at, copy, is_key_name,
};
use super::{BackupError, TEMPORARY};
use crate::registry::{LOCK_WAIT, RegistryLock};

/// Whether private keys are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Who has the file can go on in the home's name.
    Include,
    /// Who restores it brings `keys/` another way.
    LeaveOut,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its size.
    pub size_bytes: u64,
    /// How many blobs are in it.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Blobs that were left out since they are no files, or their bytes not those of their names.
    pub damaged: Vec<Digest>,
}

/// Writes a backup of the engine's home into a new file of mode 0600.
///
/// # Errors
/// `backup-exists`, `home-busy`, `registry-busy`, `disk-full`, `backup-io`, or what the store says. Nothing is left of it then.
///
/// # Durability
/// When it returns, the file outlives a crash of the machine.
pub async fn write(engine: &Engine, to: &Path, secrets: Secrets, now: Time) -> Result<Made, OpError> {
    // Told at once rather than after all was copied; the naming at the end looks again.
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()).into());
    }
    let upkeep = Upkeep::copying(engine.home())?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    // Both are made with mode 0600, and are gone when this ends, however it ends.
    let temporary =
        || tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&folder).map_err(BackupError::io(&folder));
    let store = temporary()?;
    engine.copy_store(store.path()).await?;
    let mut backup = Backup { files: small_files(engine.home(), secrets).await?, store, out: temporary()? };
    let manifest = Manifest {
        agora: env!("CARGO_PKG_VERSION").to_owned(),
        origin: agora_engine::keys::origin(engine.home())?.to_string(),
        made: now.to_string(),
        keys: secrets == Secrets::Include,
        files: BTreeMap::new(),
        blobs: 0,
        blob_bytes: 0,
    };
    let (home, to) = (engine.home().to_owned(), to.to_owned());
    let work = move || -> Result<Made, BackupError> {
        let _upkeep = upkeep;
        let (manifest, damaged) = backup.fill(&home, manifest, now)?;
        let size_bytes = backup.name(&folder, &to)?;
        Ok(Made { size_bytes, blobs: manifest.blobs, blob_bytes: manifest.blob_bytes, damaged })
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => Ok(made?),
        Err(error) => Err(BackupError::io(engine.home())(io::Error::other(error)).into()),
    }
}

/// Files that fit into memory, keys among them, by the name of their member.
type Small = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Reads the files of a home, those of its registry while nobody replaces them.
async fn small_files(home: &Path, secrets: Secrets) -> Result<Small, OpError> {
    let mut small = Small::new();
    let _lock = match home.join("registry").is_dir() {
        true => Some(RegistryLock::acquire(home, LOCK_WAIT).await?),
        false => None,
    };
    for name in FILES {
        take(home, name.to_owned(), &mut small)?;
    }
    for folder in FOLDERS.into_iter().filter(|folder| *folder != "keys" || secrets == Secrets::Include) {
        for name in names(&home.join(folder))?.into_iter().filter(|name| is_key_name(name)) {
            take(home, format!("{folder}/{name}"), &mut small)?;
        }
    }
    Ok(small)
}

/// Takes a regular file if it is there.
fn take(home: &Path, name: String, small: &mut Small) -> Result<(), BackupError> {
    let path = home.join(&name);
    if let Some(mut file) = open(&path)? {
        let mut bytes = Zeroizing::new(Vec::new());
        file.read_to_end(&mut bytes).map_err(BackupError::io(&path))?;
        small.insert(name, bytes);
    }
    Ok(())
}

/// Opens a regular file. Links are not followed: what they lead to is no part of the home.
fn open(path: &Path) -> Result<Option<File>, BackupError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackupError::io(path)(error)),
    }
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    File::options().read(true).custom_flags(flags).open(path).map(Some).map_err(BackupError::io(path))
}

/// The names in a folder, sorted; none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>, BackupError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(BackupError::io(folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(BackupError::io(folder))?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// A backup in the making.
struct Backup {
    files: Small,
    store: NamedTempFile,
    out: NamedTempFile,
}

impl Backup {
    /// Writes all members.
    fn fill(&mut self, home: &Path, mut manifest: Manifest, now: Time) -> Result<(Manifest, Vec<Digest>), BackupError> {
        let failed = BackupError::io(self.out.path());
        let seconds = u64::try_from(now.micros() / 1_000_000).unwrap_or(0);
        let mut archive = Archive { tar: tar::Builder::new(BufWriter::new(self.out.as_file())), seconds };
        archive.bytes(FORMAT_FILE, format!("{FORMAT}\n").as_bytes()).map_err(&failed)?;
        for (name, bytes) in &self.files {
            archive.bytes(name, bytes).map_err(&failed)?;
            let fact = Fact { digest: Digest::of(bytes), size_bytes: bytes.len() as u64 };
            manifest.files.insert(name.clone(), fact);
        }
        let mut store = self.store.reopen().map_err(&failed)?;
        let fact = copy(&mut store, &mut io::sink()).map_err(&failed)?;
        archive.file(STORE, &mut store, &fact).map_err(&failed)?;
        manifest.files.insert(STORE.to_owned(), fact);
        let mut damaged = Vec::new();
        for (digest, path) in blobs(home)? {
            let Some(mut file) = open(&path)? else {
                damaged.push(digest);
                continue;
            };
            // Read once before it is written: a member cannot be taken back.
            let fact = copy(&mut file, &mut io::sink()).map_err(BackupError::io(&path))?;
            if fact.digest != digest {
                damaged.push(digest);
                continue;
            }
            let hex = digest.hex();
            let (folder, name) = hex.split_at(2);
            archive.file(&format!("{BLOBS}/{folder}/{name}"), &mut file, &fact).map_err(&failed)?;
            manifest.blobs += 1;
            manifest.blob_bytes += fact.size_bytes;
        }
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(io::Error::other(error)))?;
        archive.bytes(MANIFEST_FILE, &text).map_err(&failed)?;
        let mut out = archive.tar.into_inner().map_err(&failed)?;
        io::Write::flush(&mut out).map_err(&failed)?;
        Ok((manifest, damaged))
    }

    /// Gives the file its name, unless that was taken meanwhile, and says how many bytes it has.
    fn name(self, folder: &Path, to: &Path) -> Result<u64, BackupError> {
        let failed = BackupError::io(to);
        self.out.as_file().sync_all().map_err(&failed)?;
        let size_bytes = self.out.as_file().metadata().map_err(&failed)?.len();
        self.out.persist_noclobber(to).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
            _ => failed(error.error),
        })?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(&failed)?;
        Ok(size_bytes)
    }
}

/// The archive, with what all members share.
struct Archive<W: io::Write> {
    tar: tar::Builder<W>,
    seconds: u64,
}

impl<W: io::Write> Archive<W> {
    fn member(&mut self, name: &str, size_bytes: u64, from: &mut dyn Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(size_bytes);
        header.set_mode(0o600);
        header.set_mtime(self.seconds);
        self.tar.append_data(&mut header, name, from)
    }

    fn bytes(&mut self, name: &str, mut bytes: &[u8]) -> io::Result<()> {
        self.member(name, bytes.len() as u64, &mut bytes)
    }

    /// Writes a file that was read to its end, from its first byte on.
    fn file(&mut self, name: &str, file: &mut File, fact: &Fact) -> io::Result<()> {
        io::Seek::rewind(file)?;
        self.member(name, fact.size_bytes, &mut file.take(fact.size_bytes))
    }
}

/// The blobs of a home, sorted. What else lies there is left where it is.
fn blobs(home: &Path) -> Result<Vec<(Digest, PathBuf)>, BackupError> {
    let root = home.join(BLOBS);
    let mut found = Vec::new();
    for folder in names(&root)? {
        let path = root.join(&folder);
        if folder.len() != 2 || !path.is_dir() {
            continue;
        }
        for name in names(&path)? {
            found.extend(blob_at(&folder, &name).map(|digest| (digest, path.join(&name))));
        }
    }
    Ok(found)
}
