//! The only file with `unsafe`: the system calls that neither the standard library nor rustix offers safely.

#![expect(unsafe_code, reason = "each block says what it rests on; everything else of the package is safe")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

/// Whether a child ends with the process that started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// It is killed when the thread that starts it ends. For single-threaded parents alone.
    DiesWithParent,
    /// It goes on.
    Free,
}

/// Starts a program with these descriptors kept open under the same numbers, and no signal blocked.
pub(crate) fn spawn(command: &mut Command, keep: &[BorrowedFd<'_>], tie: Tie) -> io::Result<Child> {
    let keep: Vec<RawFd> = keep.iter().map(|fd| fd.as_raw_fd()).collect();
    let parent = std::process::id();
    let prepare = move || {
        for fd in &keep {
            check(
                // SAFETY: fcntl with F_SETFD takes plain integers. The descriptor is open: the caller lends it until
                // spawn returns, and a fork copies it.
                unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) },
            )?;
        }
        set_mask(&empty_mask())?;
        if tie == Tie::DiesWithParent {
            check(
                // SAFETY: prctl with PR_SET_PDEATHSIG takes plain integers.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) },
            )?;
            // The parent may have ended before the line above, and no signal comes for that.
            // SAFETY: getppid takes nothing and cannot fail.
            if u32::try_from(unsafe { libc::getppid() }) != Ok(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls alone (fcntl, sigprocmask, prctl, getppid: all
    // async-signal-safe); it allocates nothing, takes no lock, and its errors are made of an errno.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

/// Takes over a descriptor that this process was started with, by its number; closed when another program is started.
///
/// Called once per number, before any other descriptor is opened: what is open then came from the caller.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    check(
        // SAFETY: fcntl with F_SETFD takes plain integers, and answers EBADF for a number that is not open.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) },
    )?;
    // SAFETY: the number is open, as the line above has shown, and nothing in this process owns it: the standard library
    // owns 0 to 2 alone, and the callers adopt each number of their command line once, at their start.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Gives every signal its default action and blocks none: dispositions and masks are inherited from whoever started us,
/// and an ignored SIGCHLD would make `waitpid` say that there is no child. SIGPIPE stays ignored.
pub(crate) fn default_signals() -> io::Result<()> {
    for signal in 1..=64 {
        if [libc::SIGKILL, libc::SIGSTOP, libc::SIGPIPE].contains(&signal) {
            continue;
        }
        // SAFETY: SIG_DFL is no handler of ours. The C library keeps 32 and 33 for itself and answers EINVAL, which is
        // as good, so the result is not looked at.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    set_mask(&empty_mask())
}

/// Blocks these signals and returns a descriptor that is readable when one of them is pending.
pub(crate) fn signal_fd(signals: &[rustix::process::Signal]) -> io::Result<OwnedFd> {
    let mut mask = empty_mask();
    for signal in signals {
        // SAFETY: the mask is an initialised sigset_t, and the number is that of a named signal.
        check(unsafe { libc::sigaddset(&raw mut mask, signal.as_raw()) })?;
    }
    set_mask(&mask)?;
    // SAFETY: the mask is an initialised sigset_t; -1 asks for a new descriptor.
    let fd = check(unsafe { libc::signalfd(-1, &raw const mask, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
    // SAFETY: the kernel just gave us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Marks every descriptor from 3 on as closed when another program is started.
pub(crate) fn close_all_on_exec() -> io::Result<()> {
    let (first, last, flags) = (3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: close_range takes plain integers, and with this flag it closes nothing now.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn empty_mask() -> libc::sigset_t {
    let mut mask = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset writes the whole set and cannot fail for a valid pointer.
    unsafe {
        libc::sigemptyset(mask.as_mut_ptr());
        mask.assume_init()
    }
}

fn set_mask(mask: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the mask is initialised; the old one is not asked for. Called by single-threaded processes alone: helpers,
    // and children between fork and exec.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, std::ptr::from_ref(mask), std::ptr::null_mut()) }).map(drop)
}

fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
