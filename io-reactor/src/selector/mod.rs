//! The selector: the one place that knows which operating system this is.
//!
//! Two files, each with one type `Selector` of the same few methods: register a descriptor once, wait, forget it, end the
//! wait from another thread. On Linux it is [`direct`]: epoll without anything between. Everywhere else, and on Linux
//! under `--cfg handcar_portable`, it is [`portable`]: the crate `polling`, which knows kqueue and the rest.

/// How many events one wait may bring. What is left over comes with the next.
const EVENTS: usize = 1024;

#[cfg(all(target_os = "linux", not(handcar_portable)))]
mod direct;
#[cfg(all(target_os = "linux", not(handcar_portable)))]
pub(crate) use direct::Selector;

#[cfg(not(all(target_os = "linux", not(handcar_portable))))]
mod portable;
#[cfg(not(all(target_os = "linux", not(handcar_portable))))]
pub(crate) use portable::Selector;

mod descriptor;
