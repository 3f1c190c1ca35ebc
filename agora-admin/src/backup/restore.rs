//! Making a home of a backup: beside its place first, and into it when all of it was checked.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use agora_engine::home::FOLDERS;

use super::format::{FORMAT, FORMAT_FILE, Fact, MANIFEST_FILE, Manifest, Member, STORE, TEXT_BYTES_MAX, copy};
use super::{BackupError, TEMPORARY};

/// A home that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// When its backup was begun.
    pub made: String,
    /// The version that made it.
    pub agora: String,
    /// The origin of its log.
    pub origin: String,
    /// Whether its private keys came with it.
    pub keys: bool,
    /// How many blobs it has.
    pub blobs: u64,
}

/// Makes a home of a backup, in a folder that is empty or not there.
///
/// # Errors
/// `home-not-empty`, `backup-format`, `backup-damaged`, `disk-full`, `backup-io`. There is no home then, and no part of one.
///
/// # Durability
/// When it returns, the home outlives a crash of the machine.
pub fn restore(file: &Path, home: &Path) -> Result<Restored, BackupError> {
    match std::fs::read_dir(home).map(|mut entries| entries.next().is_some()) {
        Ok(false) => {}
        Ok(true) => return Err(BackupError::NotEmpty(home.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound && home.symlink_metadata().is_err() => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::NotFound) => {
            return Err(BackupError::NotEmpty(home.to_owned()));
        }
        Err(error) => return Err(BackupError::io(home)(error)),
    }
    let archive = File::open(file).map_err(BackupError::io(file))?;
    let parent = home.parent().ok_or_else(|| BackupError::NotEmpty(home.to_owned()))?;
    std::fs::create_dir_all(parent).map_err(BackupError::io(parent))?;
    let mode = Permissions::from_mode(0o700);
    let making = tempfile::Builder::new().prefix(TEMPORARY).permissions(mode).tempdir_in(parent);
    let making = making.map_err(BackupError::io(parent))?;
    let manifest =
        Unpacking { file, to: making.path(), files: BTreeMap::new(), blobs: 0, blob_bytes: 0 }.all(archive)?;
    for folder in FOLDERS {
        make_folder(&making.path().join(folder))?;
    }
    let failed = BackupError::io(home);
    // One call for all that was written, before the name says that it is there.
    File::open(making.path()).and_then(|folder| rustix::fs::syncfs(&folder).map_err(Into::into)).map_err(&failed)?;
    // Takes the place of an empty folder and of nothing else.
    std::fs::rename(making.path(), home).map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            BackupError::NotEmpty(home.to_owned())
        }
        _ => failed(error),
    })?;
    let _named = making.keep();
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(&failed)?;
    let Manifest { agora, origin, made, keys, blobs, .. } = manifest;
    Ok(Restored { made, agora, origin, keys, blobs })
}

fn make_folder(folder: &Path) -> Result<(), BackupError> {
    DirBuilder::new().mode(0o700).recursive(true).create(folder).map_err(BackupError::io(folder))
}

/// What was unpacked so far.
struct Unpacking<'a> {
    file: &'a Path,
    to: &'a Path,
    files: BTreeMap<String, Fact>,
    blobs: u64,
    blob_bytes: u64,
}

impl Unpacking<'_> {
    fn damaged(&self, why: impl Into<String>) -> BackupError {
        BackupError::Damaged { path: self.file.to_owned(), why: why.into() }
    }

    /// Reads member by member, and checks all of them against the last.
    fn all(mut self, archive: File) -> Result<Manifest, BackupError> {
        let mut archive = tar::Archive::new(io::BufReader::new(archive));
        let unreadable = |error: &io::Error| self.damaged(error.to_string());
        // Nothing that an extension says is taken: neither a longer name nor another size.
        let mut members = archive.entries().map_err(|error| unreadable(&error))?.raw(true);
        let not_ours = |why: String| BackupError::Format { path: self.file.to_owned(), why };
        let first = members.next().ok_or_else(|| not_ours("it is empty".to_owned()))?;
        let mut first = first.map_err(|_| not_ours("it is no tar archive".to_owned()))?;
        let named = name(&first).is_some_and(|name| name == FORMAT_FILE);
        let format = if named { text(&mut first).map_err(|error| not_ours(error.to_string()))? } else { Vec::new() };
        if format != format!("{FORMAT}\n").as_bytes() {
            let shown: String =
                String::from_utf8_lossy(&format).trim().chars().filter(|c| !c.is_control()).take(60).collect();
            let why =
                if named { format!("its format is {shown:?}, not {FORMAT}") } else { "it does not say so".to_owned() };
            return Err(not_ours(why));
        }
        drop(first);
        let mut manifest = None;
        for member in members {
            let mut member = member.map_err(|error| self.damaged(error.to_string()))?;
            let name = name(&member).ok_or_else(|| self.damaged("a member is no file, or its name is no text"))?;
            if manifest.is_some() {
                return Err(self.damaged(format!("{name} comes after its end")));
            }
            if name == MANIFEST_FILE {
                let bytes = text(&mut member).map_err(|error| self.damaged(error.to_string()))?;
                let read = serde_json::from_slice::<Manifest>(&bytes);
                manifest = Some(read.map_err(|error| self.damaged(format!("{MANIFEST_FILE}: {error}")))?);
                continue;
            }
            self.member(&name, &mut member)?;
        }
        let manifest = manifest.ok_or_else(|| self.damaged("its end is missing"))?;
        self.compare(&manifest)?;
        Ok(manifest)
    }

    fn member(&mut self, name: &str, from: &mut dyn io::Read) -> Result<(), BackupError> {
        let member = Member::of(name).ok_or_else(|| self.damaged(format!("{name:?} is no part of a home")))?;
        let path: PathBuf = self.to.join(name);
        make_folder(path.parent().unwrap_or(self.to))?;
        let mode = if matches!(member, Member::Blob(_)) { 0o444 } else { 0o600 };
        let mut to =
            File::options().write(true).create_new(true).mode(mode).open(&path).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::AlreadyExists => self.damaged(format!("{name} comes twice")),
                    _ => BackupError::io(&path)(error),
                }
            })?;
        let mut reading = Reading { from, failed: None };
        let fact = copy(&mut reading, &mut to);
        if let Some(why) = reading.failed {
            return Err(self.damaged(format!("{name}: {why}")));
        }
        let fact = fact.map_err(BackupError::io(&path))?;
        match member {
            Member::Blob(digest) if digest != fact.digest => {
                return Err(self.damaged(format!("the bytes of {digest} have the digest {}", fact.digest)));
            }
            Member::Blob(_) => {
                self.blobs += 1;
                self.blob_bytes += fact.size_bytes;
            }
            Member::File => {
                self.files.insert(name.to_owned(), fact);
            }
        }
        Ok(())
    }

    fn compare(&self, manifest: &Manifest) -> Result<(), BackupError> {
        if !self.files.contains_key(STORE) {
            return Err(self.damaged(format!("{STORE} is not in it")));
        }
        let names = || manifest.files.keys().chain(self.files.keys());
        if let Some(name) = names().find(|name| manifest.files.get(*name) != self.files.get(*name)) {
            return Err(self.damaged(format!("{name} is not what its manifest says")));
        }
        if (manifest.blobs, manifest.blob_bytes) != (self.blobs, self.blob_bytes) {
            return Err(self.damaged(format!("it has {} blobs, not {}", self.blobs, manifest.blobs)));
        }
        Ok(())
    }
}

/// The name of a regular file.
fn name<R: io::Read>(member: &tar::Entry<'_, R>) -> Option<String> {
    let regular = member.header().entry_type() == tar::EntryType::Regular;
    regular.then(|| String::from_utf8(member.path_bytes().into_owned()).ok()).flatten()
}

fn text<R: io::Read>(member: &mut tar::Entry<'_, R>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    member.take(TEXT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Tells what the archive does not give from what the disk does not take.
struct Reading<'a> {
    from: &'a mut dyn io::Read,
    failed: Option<String>,
}

impl io::Read for Reading<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.failed = Some(error.to_string());
        }
        read
    }
}
