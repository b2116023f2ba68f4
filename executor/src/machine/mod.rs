//! The machine: what has to be read to know how it works. Twelve files, in this order:
//!
//! 1. `waker`: a waker is a number, and why
//! 2. `slots`: where tasks live, and the run queue through them
//! 3. `task`: a future, its result and whoever waits for it, in one allocation
//! 4. `core`: the loop
//! 5. `pace`: how often the loop looks outside
//! 6. `budget`: how much one poll may get done
//! 7. `park`: how the loop waits
//! 8. `mailbox`: how other threads reach it
//! 9. `context`: how a free function or a waker finds it
//! 10. `join`: handles, cancelling, detaching
//! 11. `timers`: deadlines
//! 12. `delegate`: children of combinators, woken one by one

pub mod budget;
pub(crate) mod context;
pub(crate) mod core;
pub(crate) mod delegate;
pub(crate) mod join;
pub(crate) mod mailbox;
mod pace;
pub mod park;
pub(crate) mod slots;
pub(crate) mod task;
pub(crate) mod timers;
pub(crate) mod waker;
