//! Waits for a time of the wall clock, which may be set meanwhile, and which goes on while the machine sleeps.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use agora_core::time::Time;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// The longest wait where the kernel has no such timer: how late a leap of the clock is noticed then.
const FALLBACK: Duration = Duration::from_secs(60);

/// Returns once the wall clock shows this time, or when it was set; `now` is what it shows.
pub(crate) async fn reached(time: Time, now: Time) {
    match set(time) {
        // What can be read is that it rang, or that it was called off since the clock was set.
        Ok(alarm) => drop(alarm.readable().await),
        Err(error) => {
            tracing::warn!(%error, "there is no timer of the wall clock; looking at it every minute");
            tokio::time::sleep(Duration::from_millis(time.ms_since(now)).min(FALLBACK)).await;
        }
    }
}

#[expect(deprecated, reason = "what takes its place is unsafe; this descriptor is owned and never another")]
fn set(time: Time) -> io::Result<AsyncFd<OwnedFd>> {
    let alarm = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    // All zeros would be no alarm at all.
    let micros = time.micros().max(1);
    let at = Timespec { tv_sec: micros / 1_000_000, tv_nsec: micros % 1_000_000 * 1_000 };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
    timerfd_settime(&alarm, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once)?;
    AsyncFd::new(alarm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host as _, ThisMachine};

    #[tokio::test]
    async fn an_alarm_rings_when_its_time_has_come() {
        let time = ThisMachine.now().plus_ms(30);
        ThisMachine.reached(time).await;
        // Unless somebody set this machine's clock in these 30 ms.
        assert!(ThisMachine.now() >= time);
        ThisMachine.reached(Time::from_micros(0)).await;
        let later = ThisMachine.reached(time.plus_ms(3_600_000));
        assert!(tokio::time::timeout(Duration::from_millis(20), later).await.is_err());
    }
}
