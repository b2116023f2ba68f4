//! Timer slack: by how much Linux lets a thread oversleep, so that several sleeps end with one interrupt.

use std::time::Duration;

/// The default, which nearly every thread has.
const SLACK: Duration =
    if cfg!(any(target_os = "linux", target_os = "android")) { Duration::from_micros(50) } else { Duration::ZERO };

/// What a parker asks the system for, so that a sleep of `timeout` is over in time: less, by the slack of a Linux thread.
///
/// Nearly every sleep takes up all of its slack. One that does not ends too early, which a [`Park`](crate::park::Park) may; the loop
/// parks once more, and what is left is no more than the slack, and not shortened. A timerfd has no slack: not for who waits for that.
///
/// ```
/// # use std::time::Duration;
/// # use handcar_executor::park::less_slack;
/// # if cfg!(target_os = "linux") {
/// assert_eq!(less_slack(Duration::from_micros(1000)), Duration::from_micros(950));
/// assert_eq!(less_slack(Duration::from_nanos(50_001)), Duration::from_nanos(1));
/// assert_eq!(less_slack(Duration::from_micros(50)), Duration::from_micros(50)); // not zero, which would be no sleep
/// # }
/// assert_eq!(less_slack(Duration::ZERO), Duration::ZERO);
/// ```
pub fn less_slack(timeout: Duration) -> Duration {
    timeout.checked_sub(SLACK).filter(|left| !left.is_zero()).unwrap_or(timeout)
}
