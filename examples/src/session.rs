//! An HTTP/1.1 client on hyper, in the shape that aiohttp made familiar: a session keeps connections, `get` borrows one.
//!
//! ```text
//!      get ──1──▶ idle connections of that host ──2──▶ request ──3──▶ head ──▶ Response
//!                         │ none left: connect                            4 text, bytes, json
//!                         ◀──────────5──────────────────────────────────── body read to its end
//! ```
//!
//! A connection goes back (5) only after its body was read to the end: it is then known to be at the start of an answer. A
//! `get` or a body that is dropped half-way, by a timeout say, takes its connection with it. So no request ever sees the rest
//! of another one's answer, and there is nothing to clean up.
//! Left out, to stay a page: TLS, redirects, cookies, a limit on the size of a body.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::str::FromStr;

use handcar::net::TcpStream;
use handcar::spawn;
use handcar_hyper::HyperIo;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Request, StatusCode, Uri, header};
use serde::de::DeserializeOwned;

type Sender = SendRequest<Empty<Bytes>>;
type Idle = HashMap<(String, u16), Vec<Sender>>;

/// Fetches pages, over connections that it keeps. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Session {
    idle: Rc<RefCell<Idle>>,
}

impl Session {
    /// A session without any connection yet.
    pub fn new() -> Session {
        Session::default()
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    ///
    /// # Errors
    ///
    /// If `url` is none that a session understands, nobody listens there, or what answers is not HTTP.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection that it used; the server may have got the request.
    pub async fn get(&self, url: &str) -> Result<Response, FetchError> {
        let target: Target = url.parse()?;
        loop {
            let kept = self.take(&target);
            let reused = kept.is_some();
            let mut sender = if let Some(sender) = kept { sender } else { target.connect().await? };
            match exchange(&mut sender, &target).await {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    let session = self.clone();
                    return Ok(Response { status: head.status, headers: head.headers, body, session, target, sender });
                }
                // A server may close an idle connection just when it is used again. To ask twice does no harm: it is a GET.
                Err(_) if reused => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&self, target: &Target) -> Option<Sender> {
        let mut idle = self.idle.borrow_mut();
        let senders = idle.get_mut(&target.address)?;
        senders.retain(|sender| !sender.is_closed());
        senders.pop()
    }
}

async fn exchange(sender: &mut Sender, target: &Target) -> Result<hyper::Response<Incoming>, hyper::Error> {
    sender.ready().await?;
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = target.path.clone().into();
    request.headers_mut().insert(header::HOST, target.host.clone());
    sender.send_request(request).await
}

/// The head of an answer, whose body is still to be read.
#[derive(Debug)]
pub struct Response {
    /// Whether the server did what was asked.
    pub status: StatusCode,
    /// What it says about the body.
    pub headers: HeaderMap,
    body: Incoming,
    session: Session,
    target: Target,
    sender: Sender,
}

impl Response {
    /// The body, as it is.
    ///
    /// # Errors
    ///
    /// If it ends before it should.
    pub async fn bytes(self) -> Result<Bytes, FetchError> {
        let body = self.body.collect().await?.to_bytes();
        self.session.idle.borrow_mut().entry(self.target.address).or_default().push(self.sender);
        Ok(body)
    }

    /// The body, as text.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Response::bytes), or if it is not UTF-8.
    pub async fn text(self) -> Result<String, FetchError> {
        String::from_utf8(self.bytes().await?.into()).map_err(|error| FetchError::Body(error.into()))
    }

    /// The body, as a value that was written in JSON.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Response::bytes), or if it is not JSON of that type.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, FetchError> {
        serde_json::from_slice(&self.bytes().await?).map_err(|error| FetchError::Body(error.into()))
    }
}

/// A URL, taken apart.
#[derive(Debug)]
pub struct Target {
    address: (String, u16),
    host: header::HeaderValue,
    path: PathAndQuery,
}

impl FromStr for Target {
    type Err = FetchError;

    fn from_str(url: &str) -> Result<Target, FetchError> {
        let refuse = |why: &str| FetchError::Url(format!("`{url}` {why}"));
        let uri: Uri = url.parse().map_err(|error| refuse(&format!("is not a URL: {error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(refuse("does not begin with `http://`, the only scheme that is spoken here"));
        }
        let name = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refuse("names no host"))?;
        let host = uri.authority().and_then(|authority| authority.as_str().rsplit('@').next()).unwrap_or_default();
        let port = uri.port_u16().or((host == name).then_some(80)).ok_or_else(|| refuse("names no port"))?;
        Ok(Target {
            address: (name.trim_matches(['[', ']']).to_owned(), port),
            host: host.parse().map_err(|_| refuse("names no host that can be sent"))?,
            path: uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
        })
    }
}

impl Target {
    async fn connect(&self) -> Result<Sender, FetchError> {
        let (host, port) = (self.address.0.as_str(), self.address.1);
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.map_err(|error| FetchError::Connect(format!("{host}:{port}"), error))?;
        let (sender, connection) = handshake(HyperIo::new(stream)).await?;
        // It ends with its sender; an error in it reaches whoever waits for an answer.
        spawn(connection).detach_ignoring();
        Ok(sender)
    }
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL cannot be used.
    #[error("{0}")]
    Url(String),
    /// Nobody listens at the address.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, #[source] io::Error),
    /// The connection ended before the answer did.
    #[error("the server closed the connection in mid-answer")]
    CutShort(#[source] hyper::Error),
    /// The server does not speak HTTP.
    #[error("{0}")]
    Http(#[source] hyper::Error),
    /// The body is whole but not what it was taken for.
    #[error("unexpected body: {0}")]
    Body(#[source] Box<dyn Error + Send + Sync>),
}

impl From<hyper::Error> for FetchError {
    fn from(error: hyper::Error) -> FetchError {
        let kind = error.source().and_then(|source| source.downcast_ref()).map(io::Error::kind);
        let ended = matches!(kind, Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset));
        if ended || error.is_incomplete_message() { FetchError::CutShort(error) } else { FetchError::Http(error) }
    }
}
