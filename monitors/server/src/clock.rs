//! What the kernel knows of the error of its clock.

use rtime_clock::adjtime::{Timex, adjtimex};

use crate::machine::Clock;

/// Bits of `status` in adjtimex(2).
const STA_UNSYNC: i32 = 0x0040;
const STA_NANO: i32 = 0x2000;

/// Asks the kernel. Asking, and not setting, needs no right.
pub(crate) fn read() -> Option<Clock> {
    let mut answer = Timex::new();
    // A sandbox may forbid the call whatever it is for.
    adjtimex(&mut answer).ok()?;
    let times = answer.0;
    let unit = if times.status & STA_NANO == 0 { 1e-6 } else { 1e-9 };
    let synchronised = times.status & STA_UNSYNC == 0;
    Some(Clock {
        synchronised: Some(synchronised),
        offset: Some(times.offset as f64 * unit),
        max_error: Some(times.maxerror as f64 / 1e6),
    })
}
