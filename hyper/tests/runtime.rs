//! hyper itself, on Handcar's clock and run queue.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::io::{AsyncRead, AsyncWrite};
use handcar_hyper::{HyperExecutor, HyperIo, HyperTimer};
use handcar_structured::{Builder, Clock, Instant, spawn, yield_now};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Executor, Timer};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

fn simulated<F: Future>(future: F) -> F::Output {
    Builder::new().clock(Clock::simulated()).build().unwrap().block_on(future)
}

/// A peer that has connected and says nothing.
struct Silence;

impl AsyncRead for Silence {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

impl AsyncWrite for Silence {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn empty(_: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    Ok(Response::new(Empty::new()))
}

#[test]
fn a_silent_peer_is_given_up_at_the_very_second() {
    simulated(async {
        let mut builder = http1::Builder::new();
        builder.timer(HyperTimer).header_read_timeout(Duration::from_secs(10));
        let served = builder.serve_connection(HyperIo::new(Silence), service_fn(empty)).await;
        assert!(served.unwrap_err().is_timeout());
        assert_eq!(Instant::now().since_start(), Duration::from_secs(10));
    });
}

#[test]
fn a_sleep_ends_when_the_runtimes_clock_says_so_and_can_be_moved() {
    simulated(async {
        let begin = HyperTimer.now();
        HyperTimer.sleep(Duration::from_secs(3600)).await;
        assert_eq!(HyperTimer.now() - begin, Duration::from_secs(3600));

        HyperTimer.sleep_until(begin + Duration::from_secs(7200)).await;
        assert_eq!(Instant::now().since_start(), Duration::from_secs(7200));

        let mut sleep = HyperTimer.sleep(Duration::MAX);
        HyperTimer.reset(&mut sleep, begin + Duration::from_secs(7300));
        sleep.await;
        assert_eq!(Instant::now().since_start(), Duration::from_secs(7300));
    });
}

#[test]
fn hypers_tasks_run_beside_ours_in_the_order_of_their_spawning() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let note = |what: &'static str| {
        let order = Rc::clone(&order);
        async move { order.borrow_mut().push(what) }
    };
    simulated(async {
        spawn(note("ours")).detach();
        HyperExecutor.execute(note("hyper's"));
        spawn(note("ours again")).detach();
        yield_now().await;
    });
    assert_eq!(*order.borrow(), ["ours", "hyper's", "ours again"]);
}
