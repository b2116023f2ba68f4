//! hyper's server, which says hello over HTTP/1.1: how much of a core a request costs it.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use super::echo::connect;
use super::thread_job::on_another_thread;
use crate::bencher::Bencher;
use crate::runtime::Net;

const CONNECTIONS: usize = 50;
/// Requests in a batch.
const REQUESTS: u64 = 20_000;
const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HELLO: &[u8] = b"Hello, World!";

/// A runtime whose connections hyper can use.
pub(crate) trait Http: Net {
    /// A connection, as hyper wants it.
    type Io: rt::Read + rt::Write + Unpin + 'static;

    /// Makes one of a connection.
    fn io(stream: Self::Stream) -> Self::Io;
}

/// Fifty connections.
#[derive(Debug)]
pub(crate) struct Hello;

impl Hello {
    pub(crate) async fn drive<R: Http>(bencher: &mut Bencher) -> io::Result<()> {
        let listener = R::listen().await?;
        let address = R::address(&listener)?;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(connect(address)?);
            let stream = R::accept(&listener).await?;
            R::set_nodelay(&stream)?;
            R::detach(R::spawn(async move {
                let connection = http1::Builder::new().serve_connection(R::io(stream), service_fn(hello));
                connection.await.expect("the clients speak HTTP");
            }));
        }
        let clients = Arc::new(clients);
        bencher
            .measure_cpu(REQUESTS, async |requests| {
                let clients = Arc::clone(&clients);
                on_another_thread(move || ask(&clients, requests).expect("the loopback works")).await;
            })
            .await;
        Ok(())
    }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(HELLO))))
}

/// Shares `requests` out among the clients. The server always answers with the same number of bytes.
fn ask(clients: &[TcpStream], requests: u64) -> io::Result<()> {
    let mut answer = vec![0; 1024];
    (&clients[0]).write_all(ASK)?;
    let length = (&clients[0]).read(&mut answer)?;
    assert!(answer[..length].ends_with(HELLO), "an answer comes in one piece");
    for _ in 0..requests / CONNECTIONS as u64 {
        for mut client in clients {
            client.write_all(ASK)?;
        }
        for mut client in clients {
            client.read_exact(&mut answer[..length])?;
        }
    }
    Ok(())
}
