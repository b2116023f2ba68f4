//! Addresses: what `connect` and `bind` accept, and the look-up of names.
//!
//! A numeric address is known at once. A name has to be asked for, and the system's resolver blocks: it runs on the
//! blocking pool, which is the only thing in this crate that ever uses another thread.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use handcar_executor::unpolled::Unpolled;
use handcar_executor::{ToThread, budget, try_to_thread};

/// What may stand for a socket address: an address, several, or a host name with a port.
///
/// Implemented for what [`std::net::ToSocketAddrs`] is implemented for, and for nothing else.
///
/// ```
/// use std::net::Ipv4Addr;
/// use handcar_io_reactor::lookup_host;
///
/// handcar_executor::run(async {
///     for same in ["127.0.0.1:80".to_owned(), format!("{}:80", Ipv4Addr::LOCALHOST)] {
///         let mut found = lookup_host(same).await?;
///         assert_eq!(found.next(), Some((Ipv4Addr::LOCALHOST, 80).into()));
///     }
///     std::io::Result::Ok(())
/// })
/// .unwrap();
/// ```
pub trait ToSocketAddrs: sealed::Resolve {}

impl<A: sealed::Resolve + ?Sized> ToSocketAddrs for A {}

pub(crate) mod sealed {
    use super::{SocketAddr, io};

    /// Not to be implemented outside: how a name is looked up may change.
    pub trait Resolve {
        fn resolve(&self) -> Resolved;
    }

    #[derive(Debug)]
    pub enum Resolved {
        Now(io::Result<Vec<SocketAddr>>),
        ByName(String, u16),
    }
}

use sealed::{Resolve, Resolved};

/// Looks a host name up on the blocking pool. A numeric address needs no thread.
///
/// ```
/// use handcar_io_reactor::lookup_host;
///
/// handcar_executor::run(async {
///     for address in lookup_host("localhost:80").await? {
///         assert!(address.ip().is_loopback());
///     }
///     std::io::Result::Ok(())
/// })
/// .unwrap();
/// ```
///
/// # Errors
///
/// `InvalidInput` if the text is no `host:port`, and what the system's resolver says. If the runtime in which it began has ended.
///
/// # Panics
///
/// If it is polled outside a runtime, and has to ask for a name.
///
/// # Cancel safety
///
/// Nothing is lost but the answer. A look-up that has begun ends in its thread.
#[track_caller]
pub fn lookup_host(host: impl ToSocketAddrs) -> LookupHost {
    look_up(&"lookup_host", host)
}

/// For a function of another name.
#[track_caller]
pub(crate) fn look_up(what: &'static &'static str, host: impl ToSocketAddrs) -> LookupHost {
    let stage = match host.resolve() {
        Resolved::Now(addrs) => Lookup::Known(addrs),
        Resolved::ByName(host, port) => Lookup::Named(host, port),
    };
    LookupHost { unpolled: Unpolled::new(what), stage }
}

/// Looks addresses up: see [`lookup_host`].
#[must_use = "futures do nothing unless awaited"]
pub struct LookupHost {
    unpolled: Unpolled,
    stage: Lookup,
}

enum Lookup {
    Known(io::Result<Vec<SocketAddr>>),
    Named(String, u16),
    Asked(ToThread<io::Result<Vec<SocketAddr>>>),
    Done,
}

impl Future for LookupHost {
    type Output = io::Result<vec::IntoIter<SocketAddr>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.unpolled.forget();
        loop {
            match &mut self.stage {
                Lookup::Known(addrs) => {
                    // Also under `connect` and `bind`: a loop over one that fails at once has to yield.
                    ready!(budget::poll(cx));
                    budget::spend();
                    let addrs = std::mem::replace(addrs, Ok(Vec::new()));
                    self.stage = Lookup::Done;
                    return Poll::Ready(addrs.map(Vec::into_iter));
                }
                Lookup::Named(host, port) => {
                    let (host, port) = (std::mem::take(host), *port);
                    self.stage = match try_to_thread(move || ask(&host, port)) {
                        Ok(answer) => Lookup::Asked(answer),
                        Err(no_thread) => Lookup::Known(Err(no_thread)),
                    };
                }
                Lookup::Asked(answer) => {
                    let ended = || Err(io::Error::other("the runtime of this look-up has ended: make a new one"));
                    self.stage = Lookup::Known(ready!(answer.poll_result(cx)).unwrap_or_else(ended));
                }
                Lookup::Done => panic!("`LookupHost` polled after it was ready"),
            }
        }
    }
}

impl LookupHost {
    /// Looks up, and does `op` with one address after the other, until it goes well with one.
    pub(crate) fn poll_first<T>(
        &mut self,
        cx: &mut Context<'_>,
        op: impl FnMut(SocketAddr) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut failure = None;
        for done in ready!(Pin::new(self).poll(cx))?.map(op) {
            match done {
                Ok(done) => return Poll::Ready(Ok(done)),
                Err(error) => failure = Some(error),
            }
        }
        Poll::Ready(Err(failure.unwrap_or_else(no_address)))
    }
}

impl fmt::Debug for LookupHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupHost")
    }
}

pub(crate) fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the name stands for no address at all")
}

fn ask(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    std::net::ToSocketAddrs::to_socket_addrs(&(host, port)).map(Iterator::collect)
}

impl Resolve for str {
    fn resolve(&self) -> Resolved {
        if let Ok(addr) = self.parse() {
            return Resolved::Now(Ok(vec![addr]));
        }
        let parts = self.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts {
            Some(parts) => parts.resolve(),
            None => Resolved::Now(Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{self}` is not a host and a port, as in `localhost:80`"),
            ))),
        }
    }
}

impl Resolve for (&str, u16) {
    fn resolve(&self) -> Resolved {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => (ip, port).resolve(),
            Err(_) => Resolved::ByName(host.to_owned(), port),
        }
    }
}

impl Resolve for String {
    fn resolve(&self) -> Resolved {
        self.as_str().resolve()
    }
}

impl Resolve for (String, u16) {
    fn resolve(&self) -> Resolved {
        (self.0.as_str(), self.1).resolve()
    }
}

impl Resolve for [SocketAddr] {
    fn resolve(&self) -> Resolved {
        Resolved::Now(Ok(self.to_vec()))
    }
}

impl<A: Resolve + ?Sized> Resolve for &A {
    fn resolve(&self) -> Resolved {
        (**self).resolve()
    }
}

/// Everything that is one address already.
macro_rules! resolves_at_once {
    ($($address:ty),* $(,)?) => {$(
        impl Resolve for $address {
            fn resolve(&self) -> Resolved {
                Resolved::Now(Ok(vec![SocketAddr::from(*self)]))
            }
        }
    )*};
}

resolves_at_once!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16),);
