//! The machine: what has to be read to know how it works. Thirteen files, in this order:
//!
//! 1. `waker`: a waker is a number, and why
//! 2. `slots`: where tasks live, and the run queue through them
//! 3. `header`: what every task has
//! 4. `task`: a future, its result and whoever waits for it, in one allocation
//! 5. `core`: the loop
//! 6. `pace`: how often the loop looks outside
//! 7. `budget`: how much one poll may get done
//! 8. `park`: how the loop waits
//! 9. `mailbox`: how other threads reach it
//! 10. `context`: how a free function or a waker finds it
//! 11. `join`: handles, cancelling, detaching
//! 12. `timers`: deadlines
//! 13. `delegate`: children of combinators, woken one by one

pub mod budget;
pub(crate) mod context;
pub(crate) mod core;
pub(crate) mod delegate;
pub(crate) mod header;
pub(crate) mod join;
pub(crate) mod mailbox;
mod pace;
pub mod park;
pub(crate) mod slots;
pub(crate) mod task;
pub(crate) mod timers;
pub(crate) mod waker;
