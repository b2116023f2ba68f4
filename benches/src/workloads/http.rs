//! hyper's server, which says hello over HTTP/1.1: how much of a core a request costs it, and how long it takes under load.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use super::echo::connections;
use super::open_loop::{self, Exchange};
use super::thread_job::on_another_thread;
use crate::bencher::Bencher;
use crate::runtime::Net;

const CONNECTIONS: u64 = 50;
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

/// What one operation is, where hyper does it.
pub(crate) trait HttpWorkload: 'static {
    /// As [`Workload::drive`](super::Workload::drive); an error of the system ends the measurement.
    fn drive<R: Http>(bencher: &mut Bencher) -> impl Future<Output = io::Result<()>>;
}

/// The CPU time of a request.
#[derive(Debug)]
pub(crate) struct Hello;

impl HttpWorkload for Hello {
    async fn drive<R: Http>(bencher: &mut Bencher) -> io::Result<()> {
        let clients = Arc::new(start::<R>().await?);
        bencher
            .measure_cpu(REQUESTS, async |requests| {
                let clients = Arc::clone(&clients);
                on_another_thread(move || ask(&clients, requests).expect("the loopback works")).await;
            })
            .await;
        Ok(())
    }
}

/// The latencies under as many percent of the load that the machine bears as the row says.
#[derive(Debug)]
pub(crate) struct HelloUnder;

impl HttpWorkload for HelloUnder {
    async fn drive<R: Http>(bencher: &mut Bencher) -> io::Result<()> {
        let (clients, exchange) = start_and_ask::<R>().await?;
        open_loop::under_load(bencher, clients, exchange).await;
        Ok(())
    }
}

/// How many requests it answers, when all clients wait for them.
#[derive(Debug)]
pub(crate) struct HelloSaturated;

impl HttpWorkload for HelloSaturated {
    async fn drive<R: Http>(bencher: &mut Bencher) -> io::Result<()> {
        let (clients, exchange) = start_and_ask::<R>().await?;
        open_loop::saturated(bencher, clients, exchange).await;
        Ok(())
    }
}

/// How many requests on schedule it bears.
#[derive(Debug)]
pub(crate) struct HelloOnSchedule;

impl HttpWorkload for HelloOnSchedule {
    async fn drive<R: Http>(bencher: &mut Bencher) -> io::Result<()> {
        let (clients, exchange) = start_and_ask::<R>().await?;
        open_loop::on_schedule(bencher, clients, exchange).await;
        Ok(())
    }
}

/// A server with connections, each served by a task of its own.
async fn start<R: Http>() -> io::Result<Vec<TcpStream>> {
    let (clients, streams) = connections::<R>(CONNECTIONS).await?;
    for stream in streams {
        R::spawn_detached(async move {
            let connection = http1::Builder::new().serve_connection(R::io(stream), service_fn(hello));
            connection.await.expect("the clients speak HTTP");
        });
    }
    Ok(clients)
}

/// A server, and how long its answers are.
async fn start_and_ask<R: Http>() -> io::Result<(Vec<TcpStream>, Exchange)> {
    let clients = start::<R>().await?;
    let one = clients[0].try_clone()?;
    let answer = Arc::new(AtomicUsize::new(0));
    on_another_thread({
        let answer = Arc::clone(&answer);
        move || answer.store(measure(&one).expect("the loopback works"), Ordering::Release)
    })
    .await;
    Ok((clients, Exchange { request: ASK, answer: answer.load(Ordering::Acquire) }))
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(HELLO))))
}

/// Asks once. The server always answers with the same number of bytes.
fn measure(mut client: &TcpStream) -> io::Result<usize> {
    let mut answer = vec![0; 1024];
    client.write_all(ASK)?;
    let length = client.read(&mut answer)?;
    assert!(answer[..length].ends_with(HELLO), "an answer comes in one piece");
    Ok(length)
}

/// Shares `requests` out among the clients.
fn ask(clients: &[TcpStream], requests: u64) -> io::Result<()> {
    let mut answer = vec![0; measure(&clients[0])?];
    for _ in 0..requests / CONNECTIONS {
        for mut client in clients {
            client.write_all(ASK)?;
        }
        for mut client in clients {
            client.read_exact(&mut answer)?;
            assert!(answer.ends_with(HELLO), "each answer says hello");
        }
    }
    Ok(())
}
