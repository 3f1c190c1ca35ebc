//! Blobs as files: `<home>/blobs/sha256/<2 hex>/<62 hex>`, mode 0444.
//!
//! A put writes a temporary file in `<home>/blobs/tmp`, syncs it, renames it to its name and syncs the folder: a blob is
//! there whole or not at all, however a process or the machine ends, and two who put the same bytes rename the same bytes
//! over each other. The time of a blob's file says when it was last put or kept, to within [`RENEW`]; a removal looks at it
//! while nobody can renew it or put the blob anew, which the lock of the blob's folder sees to. Files in `tmp` that a crash left are read by nobody and removed by the next store that is opened, once
//! they are a day old.

use std::collections::HashSet;
use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use agora_core::id::Digest;
use agora_core::seam::{BlobError, BlobStore};
use agora_core::time::Time;
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

/// How much is read or written at once, in bytes: large enough that the calls cost nothing beside the hash.
const CHUNK_BYTES: usize = 128 * 1024;
/// A blob that is read into memory whole, in bytes: the largest artifact that any page allows is a base tree's pack, and
/// that one is exported. More than this in memory is a mistake of the caller's.
const GET_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Known blobs that are remembered, so that putting them again costs no write. 100,000 digests are 5 MiB.
const KNOWN_MAX: usize = 100_000;
/// When a temporary file is nobody's any more: no put takes a day.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// How old the time of a blob's file may be before a put of the same bytes renews it: a write for each put would cost more
/// than the puts.
const RENEW: Duration = Duration::from_secs(60 * 60);

/// The blobs of one home. Clones share what they know.
#[derive(Debug, Clone)]
pub struct FileBlobs {
    root: PathBuf,
    /// Seen whole and durable by this process. A blob that somebody deletes by hand is missed at the next get.
    known: Arc<Mutex<HashSet<Digest>>>,
}

impl FileBlobs {
    /// Opens the blobs of a home. Folders are made when they are first needed.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        let store = Self { root: home.join("blobs"), known: Arc::default() };
        store.sweep();
        store
    }

    /// The file of a blob, whether it is there or not.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let (folder, name) = hex.split_at(2);
        self.root.join("sha256").join(folder).join(name)
    }

    fn temporary_folder(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Removes what crashes left. Failing to is no reason not to open.
    fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(self.temporary_folder()) else { return };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|found| found.modified());
            let age = modified.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
            if age.is_some_and(|age| age > STALE) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn is_known(&self, digest: &Digest) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    fn remember(&self, digest: Digest) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            // Which ones go does not matter: forgetting costs one look at the disk.
            known.clear();
        }
        known.insert(digest);
    }

    fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        if !self.is_there(&digest, bytes.len() as u64)? {
            self.write(&mut io::Cursor::new(bytes))?;
        }
        Ok(digest)
    }

    fn put_path(&self, from: &Path) -> Result<(Digest, u64), BlobError> {
        let mut file = File::open(from).map_err(|error| failed(&format!("opening {}", from.display()), &error))?;
        self.write(&mut file)
    }

    /// Whether a put has nothing to do. What is damaged is written anew: a put promises that the bytes are there.
    fn is_there(&self, digest: &Digest, size_bytes: u64) -> Result<bool, BlobError> {
        match std::fs::symlink_metadata(self.path(digest)) {
            Ok(found) if found.is_file() && found.len() == size_bytes => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed("looking for a blob", &error)),
        }
        if !self.is_known(digest) {
            let mut file = self.open(digest)?;
            let (found, _) = copy(&mut file, &mut io::sink()).map_err(|error| failed("reading a blob", &error))?;
            if found != *digest {
                return Ok(false);
            }
            // Another process may have renamed it and not yet synced the folder: this put promises that it is durable.
            let path = self.path(digest);
            sync_folder(path.parent().unwrap_or(&self.root))?;
            self.remember(*digest);
        }
        self.renew(digest)
    }

    /// Has the time of a blob's file say that it was put now; false if it is not there.
    fn renew(&self, digest: &Digest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        let now = SystemTime::now();
        match last_put(&path)? {
            None => return Ok(false),
            // One from the future is as good as new.
            Some((put, _)) if now.duration_since(put).is_ok_and(|age| age > RENEW) => {}
            Some(_) => return Ok(true),
        }
        let Some(folder) = open_folder(&path)? else { return Ok(false) };
        folder.lock_shared().map_err(|error| failed("locking a folder of blobs", &error))?;
        match File::open(&path).and_then(|file| file.set_modified(now)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unwritten("renewing a blob", &error)),
        }
    }

    /// The size of a blob that nobody put since, and its folder, in which nobody puts or renews until it is closed.
    fn resting(&self, digest: &Digest, since: Time) -> Result<Option<(u64, File)>, BlobError> {
        let path = self.path(digest);
        let Some(folder) = open_folder(&path)? else { return Ok(None) };
        folder.lock().map_err(|error| failed("locking a folder of blobs", &error))?;
        let found = last_put(&path)?.filter(|(put, _)| time_of(*put) < since);
        Ok(found.map(|(_, size_bytes)| (size_bytes, folder)))
    }

    fn take_away(&self, digest: &Digest, since: Time) -> Result<Option<u64>, BlobError> {
        let Some((size_bytes, folder)) = self.resting(digest, since)? else { return Ok(None) };
        std::fs::remove_file(self.path(digest)).map_err(|error| unwritten("removing a blob", &error))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
        folder.sync_all().map_err(|error| unwritten("syncing a folder of blobs", &error))?;
        Ok(Some(size_bytes))
    }

    /// Copies what it reads into a blob of its own digest.
    fn write(&self, from: &mut dyn Read) -> Result<(Digest, u64), BlobError> {
        let folder = self.temporary_folder();
        make_folder(&folder)?;
        let mut temporary =
            tempfile::NamedTempFile::new_in(&folder).map_err(|error| unwritten("making a temporary file", &error))?;
        let (digest, size_bytes) =
            copy(from, temporary.as_file_mut()).map_err(|error| failed("writing a blob", &error))?;
        if self.is_there(&digest, size_bytes)? {
            return Ok((digest, size_bytes));
        }
        let target = self.path(&digest);
        let folder = target.parent().unwrap_or(&self.root);
        make_folder(folder)?;
        let file = temporary.as_file();
        file.set_permissions(Permissions::from_mode(0o444))
            .and_then(|()| file.sync_all())
            .map_err(|error| unwritten("syncing a blob", &error))?;
        // Shared with other puts; a removal that looked at what was here before must not take this one.
        let held = File::open(folder).map_err(|error| unwritten("opening a folder of blobs", &error))?;
        held.lock_shared().map_err(|error| failed("locking a folder of blobs", &error))?;
        temporary.persist(&target).map_err(|error| unwritten("naming a blob", &error.error))?;
        held.sync_all().map_err(|error| unwritten("syncing a folder of blobs", &error))?;
        self.remember(digest);
        Ok((digest, size_bytes))
    }

    fn open(&self, digest: &Digest) -> Result<File, BlobError> {
        File::open(self.path(digest)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(*digest),
            _ => failed("opening a blob", &error),
        })
    }

    fn read(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        let file = self.open(digest)?;
        let size = file.metadata().map_err(|error| failed("reading a blob", &error))?.len();
        if size > GET_BYTES_MAX {
            let why = format!("the blob {digest} has {size} bytes, and at most {GET_BYTES_MAX} are read into memory");
            return Err(BlobError::Io(why));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(GET_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| failed("reading a blob", &error))?;
        self.check(digest, Digest::of(&bytes))?;
        Ok(bytes)
    }

    fn copy_out(&self, digest: &Digest, to: &Path) -> Result<u64, BlobError> {
        let mut from = self.open(digest)?;
        let into = |error: &io::Error| failed(&format!("writing {}", to.display()), error);
        // Beside its target and renamed over nothing: what has not been checked is never seen under the name.
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(|error| into(&error))?;
        let (found, size_bytes) = copy(&mut from, temporary.as_file_mut()).map_err(|error| into(&error))?;
        self.check(digest, found)?;
        temporary.as_file().set_permissions(Permissions::from_mode(0o444)).map_err(|error| into(&error))?;
        temporary.persist_noclobber(to).map_err(|error| into(&error.error))?;
        Ok(size_bytes)
    }

    fn check(&self, digest: &Digest, found: Digest) -> Result<(), BlobError> {
        if found == *digest {
            return Ok(());
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
        Err(BlobError::Damaged { digest: *digest, found })
    }

    /// Runs it where blocking is allowed.
    async fn blocking<T, F>(&self, work: F) -> Result<T, BlobError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, BlobError> + Send + 'static,
    {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(done) => done,
            Err(error) => Err(BlobError::Io(format!("the work on a blob broke: {error}"))),
        }
    }
}

#[async_trait]
impl BlobStore for FileBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let bytes = bytes.to_vec();
        self.blocking(move |store| store.put_bytes(&bytes)).await
    }

    async fn put_file(&self, from: &Path) -> Result<(Digest, u64), BlobError> {
        let from = from.to_owned();
        self.blocking(move |store| store.put_path(&from)).await
    }

    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        let digest = *digest;
        self.blocking(move |store| store.read(&digest)).await
    }

    async fn export(&self, digest: &Digest, to: &Path) -> Result<u64, BlobError> {
        let (digest, to) = (*digest, to.to_owned());
        self.blocking(move |store| store.copy_out(&digest, &to)).await
    }

    async fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        let digest = *digest;
        self.blocking(move |store| match std::fs::symlink_metadata(store.path(&digest)) {
            Ok(found) => Ok(found.is_file()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("looking for a blob", &error)),
        })
        .await
    }

    async fn keep(&self, digest: &Digest) -> Result<bool, BlobError> {
        let digest = *digest;
        self.blocking(move |store| store.renew(&digest)).await
    }

    async fn unused(&self, digest: &Digest, since: Time) -> Result<Option<u64>, BlobError> {
        let digest = *digest;
        self.blocking(move |store| Ok(store.resting(&digest, since)?.map(|(size_bytes, _)| size_bytes))).await
    }

    async fn remove(&self, digest: &Digest, since: Time) -> Result<Option<u64>, BlobError> {
        let digest = *digest;
        self.blocking(move |store| store.take_away(&digest, since)).await
    }
}

/// When a blob was last put or kept, and its size; `None` if it is not there.
fn last_put(path: &Path) -> Result<Option<(SystemTime, u64)>, BlobError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => {
            let put = found.modified().map_err(|error| failed("looking for a blob", &error))?;
            Ok(Some((put, found.len())))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("looking for a blob", &error)),
    }
}

/// The folder that a blob lies in; `None` if nothing was ever put there.
fn open_folder(path: &Path) -> Result<Option<File>, BlobError> {
    match File::open(path.parent().unwrap_or(path)) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("opening a folder of blobs", &error)),
    }
}

fn time_of(time: SystemTime) -> Time {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Copies and hashes in one pass.
fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<(Digest, u64)> {
    let mut hash = Sha256::new();
    let mut size_bytes = 0u64;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok((Digest(hash.finalize().into()), size_bytes)),
            Ok(count) => {
                hash.update(&chunk[..count]);
                to.write_all(&chunk[..count])?;
                size_bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes a folder and those above it, and syncs what it made: a blob is only as durable as the folders that lead to it.
fn make_folder(folder: &Path) -> Result<(), BlobError> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(folder);
    if parent != folder {
        make_folder(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unwritten(&format!("making {}", folder.display()), &error)),
    }
    sync_folder(parent)
}

fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| unwritten(&format!("syncing {}", folder.display()), &error))
}

/// Why the store's own folders cannot be written. Elsewhere the same refusal is about somebody else's file.
fn unwritten(what: &str, error: &io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            BlobError::NotWritable(format!("{what}: {error}"))
        }
        _ => failed(what, error),
    }
}

fn failed(what: &str, error: &io::Error) -> BlobError {
    let text = format!("{what}: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::NoRoom(text),
        _ => BlobError::Io(text),
    }
}

#[cfg(test)]
mod tests {
    use agora_core::error::{Class, Coded as _};

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let full = failed("writing", &io::Error::from(rustix::io::Errno::NOSPC));
        assert!(matches!(full, BlobError::NoRoom(_)), "{full}");
        let quota = failed("writing", &io::Error::from(rustix::io::Errno::DQUOT));
        assert!(matches!(quota, BlobError::NoRoom(_)), "{quota}");
        let denied = failed("writing", &io::Error::from(rustix::io::Errno::ACCESS));
        assert!(matches!(denied, BlobError::Io(_)), "{denied}");
    }

    #[test]
    fn a_store_that_may_not_be_written_is_told_from_one_that_does_not_answer() {
        for errno in [rustix::io::Errno::ROFS, rustix::io::Errno::ACCESS, rustix::io::Errno::PERM] {
            let error = unwritten("making a temporary file", &io::Error::from(errno));
            assert_eq!(error.code(), "home-not-writable", "{error}");
            assert_eq!(error.class(), Class::Operator);
        }
        let full = unwritten("making a temporary file", &io::Error::from(rustix::io::Errno::NOSPC));
        assert_eq!((full.code(), full.class()), ("disk-full", Class::Later));
        let broken = unwritten("making a temporary file", &io::Error::from(rustix::io::Errno::IO));
        assert_eq!((broken.code(), broken.class()), ("blob-io", Class::Later));
    }

    /// A folder that cannot be made in is refused as such, whoever runs the test: /sys takes no folders of anybody's.
    #[test]
    fn a_home_where_nothing_can_be_made_keeps_no_blob() {
        let home = tempfile::tempdir().unwrap();
        FileBlobs::new(home.path()).put_bytes(b"one").unwrap();
        let refused = FileBlobs::new(Path::new("/sys")).put_bytes(b"one").unwrap_err();
        assert_eq!(refused.code(), "home-not-writable", "{refused}");
    }

    #[test]
    fn a_blob_lies_under_its_digest_read_only_and_nothing_else_is_left() {
        let home = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::new(home.path());
        let digest = blobs.put_bytes(b"one").unwrap();
        let hex = digest.hex();
        let path = home.path().join("blobs/sha256").join(&hex[..2]).join(&hex[2..]);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o444);
        assert_eq!(std::fs::read_dir(home.path().join("blobs/tmp")).unwrap().count(), 0);
    }

    #[test]
    fn damage_is_found_reported_and_mended_by_the_next_put() {
        let home = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::new(home.path());
        let digest = blobs.put_bytes(b"whole").unwrap();
        let path = blobs.path(&digest);
        assert_eq!(blobs.read(&digest).unwrap(), b"whole");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(blobs.read(&digest), Err(BlobError::Missing(missing)) if missing == digest));
        std::fs::write(&path, b"wrong").unwrap();
        assert!(matches!(blobs.read(&digest), Err(BlobError::Damaged { .. })));
        let out = home.path().join("out");
        assert!(matches!(blobs.copy_out(&digest, &out), Err(BlobError::Damaged { .. })));
        assert!(!out.exists(), "bytes that are not the digest's are never handed out");
        blobs.put_bytes(b"whole").unwrap();
        assert_eq!(blobs.copy_out(&digest, &out).unwrap(), 5);
    }

    #[test]
    fn what_a_crash_left_is_swept_when_it_is_old() {
        let home = tempfile::tempdir().unwrap();
        FileBlobs::new(home.path()).put_bytes(b"x").unwrap();
        let folder = home.path().join("blobs/tmp");
        for name in ["old", "new"] {
            std::fs::write(folder.join(name), b"torn").unwrap();
        }
        let past = SystemTime::now() - STALE - Duration::from_secs(60);
        File::options().write(true).open(folder.join("old")).unwrap().set_modified(past).unwrap();
        let _ = FileBlobs::new(home.path());
        assert!(!folder.join("old").exists() && folder.join("new").exists());
    }

    fn age(path: &Path, by: Duration) {
        File::open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
    }

    fn ago(by: Duration) -> Time {
        time_of(SystemTime::now() - by)
    }

    /// Whatever looks at a blob in order to name it makes it young again; who only reads it does not.
    #[test]
    fn a_blob_is_removed_when_nobody_put_or_kept_it_for_long_enough() {
        let home = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::new(home.path());
        let digest = blobs.put_bytes(b"one").unwrap();
        let (path, hour) = (blobs.path(&digest), Duration::from_secs(3600));
        assert_eq!(blobs.take_away(&digest, ago(24 * hour)).unwrap(), None, "it is young");
        type Use = fn(&FileBlobs, &Digest);
        let uses: [(&str, Use, bool); 4] = [
            ("put", |blobs, _| assert!(blobs.put_bytes(b"one").is_ok()), true),
            (
                "put by another process",
                |blobs, _| assert!(FileBlobs::new(blobs.root.parent().unwrap()).put_bytes(b"one").is_ok()),
                true,
            ),
            ("keep", |blobs, digest| assert!(blobs.renew(digest).unwrap()), true),
            ("read", |blobs, digest| drop(blobs.read(digest).unwrap()), false),
        ];
        for (name, touch, stays) in uses {
            blobs.put_bytes(b"one").unwrap();
            age(&path, 48 * hour);
            touch(&blobs, &digest);
            let removed = blobs.take_away(&digest, ago(24 * hour)).unwrap();
            assert_eq!((removed.is_none(), path.exists()), (stays, stays), "{name}");
        }
        assert!(!blobs.renew(&digest).unwrap(), "what is gone is not kept");
        assert_eq!(blobs.take_away(&digest, ago(24 * hour)).unwrap(), None);
        // Known once, gone, and put again: it is there.
        blobs.put_bytes(b"one").unwrap();
        assert_eq!(blobs.read(&digest).unwrap(), b"one");
    }

    /// Puts and removals at once: a put that returned is never undone.
    #[test]
    fn a_put_that_meets_a_removal_is_there_afterwards() {
        let home = tempfile::tempdir().unwrap();
        let (blobs, other) = (FileBlobs::new(home.path()), FileBlobs::new(home.path()));
        let digest = blobs.put_bytes(b"one").unwrap();
        let (path, since) = (blobs.path(&digest), ago(Duration::from_secs(86_400)));
        for _ in 0..200 {
            blobs.put_bytes(b"one").unwrap();
            age(&path, Duration::from_secs(2 * 86_400));
            std::thread::scope(|scope| {
                scope.spawn(|| other.take_away(&digest, since).unwrap());
                let put = scope.spawn(|| {
                    blobs.put_bytes(b"one").unwrap();
                    blobs.read(&digest).unwrap()
                });
                assert_eq!(put.join().unwrap(), b"one");
            });
            assert!(path.exists());
        }
    }

    #[test]
    fn an_export_never_replaces_a_file() {
        let home = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::new(home.path());
        let digest = blobs.put_bytes(b"x").unwrap();
        let out = home.path().join("out");
        std::fs::write(&out, b"mine").unwrap();
        assert!(blobs.copy_out(&digest, &out).is_err());
        assert_eq!(std::fs::read(&out).unwrap(), b"mine");
        std::fs::remove_file(&out).unwrap();
        assert!(blobs.copy_out(&digest, &out).is_ok());
    }
}
