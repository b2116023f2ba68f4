//! The embedded server: HTTP/1.1 by hyper, in the same thread as the client. Its pages behave as pages in the wild do.

use std::convert::Infallible;
use std::future;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use handcar::net::TcpListener;
use handcar::{sleep, spawn};
use handcar_hyper::{HyperIo, HyperTimer};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};

/// What becomes of a request for page `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Prompt,
    Slow(Duration),
    /// Never answers.
    Stalled,
    /// Answers with an error.
    Failing,
    /// Promises a whole page and closes the connection after half of it.
    CutShort,
}

impl Behaviour {
    /// Of a hundred pages 85 are prompt, ten slow, two fail, two break off, one stalls.
    fn of(n: u64) -> Behaviour {
        match n % 100 {
            13 | 63 => Behaviour::Failing,
            29 | 79 => Behaviour::CutShort,
            41 => Behaviour::Stalled,
            m if m % 10 == 7 => Behaviour::Slow(Duration::from_millis(50 + 10 * (m / 10))),
            _ => Behaviour::Prompt,
        }
    }
}

/// Binds `address`, serves from now on, in a task of its own, and returns where.
pub(crate) async fn start(address: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    spawn(accept_all(listener)).detach();
    Ok(address)
}

async fn accept_all(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // The head and the body of an answer go out in one write: there is nothing that Nagle could hold back
                // for good, but much that it could delay.
                let _ = stream.set_nodelay(true);
                let connection =
                    http1::Builder::new().timer(HyperTimer).serve_connection(HyperIo::new(stream), service_fn(answer));
                // Its errors are the client's, or were meant.
                spawn(connection).detach_ignoring();
            }
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Page>, Infallible> {
    let page = request.uri().path().strip_prefix("/page/").and_then(|n| n.parse().ok());
    let Some(n) = page else {
        return Ok(with_status(
            StatusCode::NOT_FOUND,
            Page::whole("there are only pages: /page/0, /page/1, ..\n".into()),
        ));
    };
    let text = format!("<title>page {n}</title>\n{}", "The handcar goes where its crew drives it.\n".repeat(50));
    Ok(match Behaviour::of(n) {
        Behaviour::Prompt => Response::new(Page::whole(text)),
        Behaviour::Slow(time) => {
            sleep(time).await;
            Response::new(Page::whole(text))
        }
        Behaviour::Stalled => future::pending().await,
        Behaviour::Failing => with_status(StatusCode::INTERNAL_SERVER_ERROR, Page::whole("out of order\n".into())),
        Behaviour::CutShort => Response::new(Page::half(text)),
    })
}

fn with_status(status: StatusCode, page: Page) -> Response<Page> {
    let mut response = Response::new(page);
    *response.status_mut() = status;
    response
}

/// A body that may be less than it promises.
struct Page {
    promised: u64,
    next: Next,
}

/// What the body does when it is polled next.
enum Next {
    All(Bytes),
    Half(Bytes),
    /// Lets hyper send the half: it writes what it has when the body is not ready.
    Pause,
    BreakOff,
    End,
}

impl Page {
    fn whole(text: String) -> Page {
        Page { promised: text.len() as u64, next: Next::All(text.into()) }
    }

    fn half(text: String) -> Page {
        let promised = text.len() as u64;
        let mut half = Bytes::from(text);
        half.truncate(half.len() / 2);
        Page { promised, next: Next::Half(half) }
    }
}

impl Body for Page {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let (frame, next) = match mem::replace(&mut self.next, Next::End) {
            Next::All(bytes) => (Some(Ok(Frame::data(bytes))), Next::End),
            Next::Half(bytes) => (Some(Ok(Frame::data(bytes))), Next::Pause),
            Next::Pause => {
                self.next = Next::BreakOff;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Next::BreakOff => (Some(Err(io::Error::other("cut short on purpose"))), Next::End),
            Next::End => (None, Next::End),
        };
        self.next = next;
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}
