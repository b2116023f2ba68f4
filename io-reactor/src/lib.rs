//! The reactor of Handcar: how a task waits for a file descriptor, and the sockets built on that.
//!
//! A descriptor is *ready* for reading or for writing, or it is not; the operating system tells when that changes. This
//! crate turns the one into the other: a system call that would block becomes a task that sleeps, and a change that the
//! system reports becomes a wake.
//!
//! ```text
//!      task                      Source (one entry in the reactor)               operating system
//!       │ 1 read                        │                                              │
//!       ├──────────────────────────────▶│ bit set: try the system call ───────────────▶│
//!       │◀── bytes ─────────────────────┤◀───────────────── n bytes ───────────────────┤
//!       │                               │ fewer than asked for: clear the bit          │
//!       │ 2 read                        │                                              │
//!       ├──────────────────────────────▶│ bit clear: keep the waker, no system call    │
//!       │◀── Pending ───────────────────┤                                              │
//!       :                               :                                              :
//!       │                 Reactor::park │◀──────────────── 3 edge: readable ───────────┤
//!       │◀── wake ──────────────────────┤ set the bit, take the wakers, end the borrow │
//!       │ 4 read, and so on as in 1     │                                              │
//! ```
//!
//! Three choices make this cheap. A descriptor is registered **once, for both directions, edge-triggered**, when a task first
//! waits for it: no other wait costs a system call, and what never has to wait costs none at all. The readiness is
//! **cached**, and an operation tries its system call first and waits only when that would block. And a **short read** says
//! that nothing is left, so the call that would only say "would block" is not made (`unix::transfer` has the exception). A round trip at a server is then one
//! read, one write and one wait.
//!
//! Runtimes with several threads collect events on one thread while others read, so a bit may be cleared just after a new
//! edge has set it; they number the edges to notice that. Here one thread does both, in turn: an edge that comes between
//! a system call and the clearing of its bit is still in the kernel's queue, and the next look finds it. There are no
//! atomics, no locks and no ticks, and nothing is ever re-armed.
//!
//! Read in this order: `ready` and `entry` (what is known of a descriptor, and who waits for it), `reactor` (the wait and the
//! wakes), `site` (try, and wait only then), `source` and `operation` (what a descriptor can do), `selector` (the only files
//! that know the operating system). On top of that: `transfer`, `accept`, `split` and `into_split` (what all streams and
//! listeners do alike), `addr`, and the sockets: `tcp`, `udp`, `unix`.

#[cfg(not(unix))]
compile_error!("Handcar's reactor stands on file descriptors: it runs on Unix only");

mod accept;
mod addr;
mod delegate;
mod entry;
mod into_split;
mod operation;
mod reactor;
mod ready;
mod selector;
mod site;
mod source;
mod split;
mod tcp;
mod transfer;
mod udp;
mod unix;

pub use accept::{Accept, Incoming, Listener};
pub use addr::{LookupHost, ToSocketAddrs, lookup_host};
pub use into_split::{Duplex, OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use operation::{Operation, Readiness};
pub use reactor::Reactor;
pub use source::Source;
pub use split::{ReadHalf, WriteHalf};
pub use tcp::{Bind, Connect, Peek, TcpListener, TcpStream};
pub use udp::{UdpBind, UdpConnect, UdpSocket};
pub use unix::{UnixConnect, UnixDatagram, UnixListener, UnixSendTo, UnixStream};
