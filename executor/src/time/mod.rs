//! Time, as programs use it: clocks, and what waits for them. The timers themselves belong to the machine.

pub(crate) mod clock;
pub(crate) mod interval;
pub(crate) mod sleep;
pub(crate) mod timeout;
