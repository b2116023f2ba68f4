//! An echo server: how much of a core a request costs it, when there are many connections.
//!
//! The clients write one message on every connection and then read every answer, so the server finds many connections
//! ready at once, as a busy one does. They are blocking sockets on a thread of their own; only the server's thread is
//! measured, by its CPU time, so the two may share a core.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustix::event::epoll;

use super::thread_job::on_another_thread;
use super::{NetWorkload, now};
use crate::bencher::Bencher;
use crate::machine;
use crate::runtime::{Buffer, Net};

/// Requests in a batch.
const REQUESTS: u64 = 20_000;
/// Bytes in a request.
const MESSAGE: usize = 64;
/// Bytes that a server is ready to read.
const BUFFER: usize = 1024;

/// As many connections as the row says.
#[derive(Debug)]
pub(crate) struct Echo;

impl NetWorkload for Echo {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        machine::allow_many_descriptors();
        let (clients, streams) = connections::<R>(bencher.size()).await?;
        let servers: Vec<_> = streams.into_iter().map(|stream| R::spawn(serve::<R>(stream))).collect();
        let clients = Arc::new(clients);
        bencher
            .measure_cpu(REQUESTS, async |requests| {
                let clients = Arc::clone(&clients);
                on_another_thread(move || ask(&clients, requests).expect("the loopback works")).await;
            })
            .await;
        drop(clients);
        for server in servers {
            server.await.expect("it neither panics nor is cancelled")?;
        }
        Ok(())
    }
}

/// Answers on one connection until its end.
pub(super) async fn serve<R: Net>(mut stream: R::Stream) -> io::Result<()> {
    let mut buffer = Buffer::from([0; BUFFER]);
    loop {
        let read;
        (read, buffer) = R::read(&mut stream, buffer, 0).await;
        let read = read?;
        if read == 0 {
            return Ok(());
        }
        let written;
        (written, buffer) = R::write_all(&mut stream, buffer, read).await;
        written?;
    }
}

/// So many connections: their clients' ends, and the server's.
pub(super) async fn connections<R: Net>(many: u64) -> io::Result<(Vec<TcpStream>, Vec<R::Stream>)> {
    let listener = R::listen().await?;
    let address = R::address(&listener)?;
    let (mut clients, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..many {
        clients.push(connect(address)?);
        let stream = R::accept(&listener).await?;
        R::set_nodelay(&stream)?;
        streams.push(stream);
    }
    Ok((clients, streams))
}

/// The backlog of the listener has room: nobody need accept meanwhile.
pub(super) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The clients: shares `requests` out among them.
fn ask(clients: &[TcpStream], requests: u64) -> io::Result<()> {
    let message = [7; MESSAGE];
    let mut answer = [0; MESSAGE];
    for _ in 0..requests / clients.len() as u64 {
        for mut client in clients {
            client.write_all(&message)?;
        }
        for mut client in clients {
            client.read_exact(&mut answer)?;
        }
    }
    assert_eq!(message, answer);
    Ok(())
}

/// The same server as a loop around `epoll_wait`, as one writes it in C.
pub(crate) fn epoll_loop(bencher: &mut Bencher) {
    machine::allow_many_descriptors();
    let mut server = EpollLoop::new().expect("the system has epoll");
    let clients = (0..bencher.size()).map(|_| server.accept()).collect::<io::Result<Vec<_>>>();
    let clients = Arc::new(clients.expect("the loopback works"));
    now(bencher.measure_cpu(REQUESTS, async |requests| {
        let clients = Arc::clone(&clients);
        let asking = thread::spawn(move || ask(&clients, requests));
        server.answer(requests).expect("the loopback works");
        asking.join().expect("the clients are served").expect("the loopback works");
    }));
}

struct EpollLoop {
    epoll: rustix::fd::OwnedFd,
    listener: TcpListener,
    streams: Vec<TcpStream>,
}

impl EpollLoop {
    fn new() -> io::Result<EpollLoop> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(EpollLoop { epoll, listener: TcpListener::bind("127.0.0.1:0")?, streams: Vec::new() })
    }

    fn accept(&mut self) -> io::Result<TcpStream> {
        let client = connect(self.listener.local_addr()?)?;
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let number = epoll::EventData::new_u64(self.streams.len() as u64);
        epoll::add(&self.epoll, &stream, number, epoll::EventFlags::IN)?;
        self.streams.push(stream);
        Ok(client)
    }

    fn answer(&mut self, requests: u64) -> io::Result<()> {
        let mut events = Vec::with_capacity(1024);
        let mut buffer = [0; BUFFER];
        let mut answered = 0;
        while answered < requests {
            events.clear();
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None)?;
            for event in &events {
                let number = usize::try_from(event.data.u64()).expect("it was one");
                let mut stream = &self.streams[number];
                let read = stream.read(&mut buffer)?;
                stream.write_all(&buffer[..read])?;
                answered += 1;
            }
        }
        Ok(())
    }
}
