//! The lock that makes one process the driver.

use std::fs::File;
use std::path::Path;

use tokio::sync::oneshot;

/// Holds the lock as long as it lives. The OS frees it when the process dies, however it dies.
#[derive(Debug)]
pub(super) struct DriverLock {
    _file: File,
}

/// Waits until this process holds the lock.
///
/// # Cancellation
/// A dropped future leaves a thread waiting for the lock; once it has it, it lets go of it at once.
pub(super) async fn acquire(home: &Path) -> std::io::Result<DriverLock> {
    let path = home.join("driver.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path)?;
    match file.try_lock() {
        Ok(()) => return Ok(DriverLock { _file: file }),
        Err(std::fs::TryLockError::WouldBlock) => {}
        Err(std::fs::TryLockError::Error(error)) => return Err(error),
    }
    let (got, waits) = oneshot::channel();
    // A thread of its own: one that waits for ever must not hold up the runtime's end.
    std::thread::Builder::new().name("agora-lock".to_owned()).spawn(move || {
        let result = file.lock().map(|()| DriverLock { _file: file });
        let _ = got.send(result);
    })?;
    waits.await.map_err(|_| std::io::Error::other("the waiting thread ended"))?
}
