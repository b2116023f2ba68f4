//! Latency where it hurts: the slowest of a thousand, not the average.
//!
//! Requests are sent on schedule, whether or not the last one was answered ("open loop"), and each latency counts from the moment
//! at which its request was due. A client that waits for its answer before it asks again would hide every stall behind the
//! one request that met it. The client is a thread of its own on a core of its own; only the server's runtime is under test.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::epoll;

use super::echo::{connect, serve};
use super::thread_job::on_another_thread;
use super::{NetWorkload, TimedWorkload, WakeSelf};
use crate::bencher::{Bencher, Quantiles};
use crate::machine;
use crate::runtime::{Net, Runtime, Timers};

/// Connections on which requests are sent in turn.
const CONNECTIONS: usize = 100;
/// Bytes in a request.
const MESSAGE: usize = 64;
/// For how long requests are sent.
const LASTS: Duration = Duration::from_millis(400);
/// Latencies before this moment are not counted.
const WARM_UP: Duration = Duration::from_millis(50);
/// How long the task beside computes in each poll.
const COMPUTES: Duration = Duration::from_micros(200);
/// Tasks that are always ready.
const CROWD: u64 = 10_000;

/// The percentiles of a latency.
pub(crate) const QUANTILES: Quantiles = &[("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// The environment variable that holds the capacity which loads are a share of, in requests a second. The runner measures it
/// once, on tokio, so that all entrants bear the same load.
pub(crate) const CAPACITY: &str = "HANDCAR_CAPACITY";

/// An echo server under so many percent of that load, with tasks beside that compute.
#[derive(Debug)]
pub(crate) struct OpenLoop<const PERCENT: u32, const COMPUTING: usize>;

impl<const PERCENT: u32, const COMPUTING: usize> NetWorkload for OpenLoop<PERCENT, COMPUTING> {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        let capacity = std::env::var(CAPACITY).ok().and_then(|text| text.parse::<f64>().ok()).unwrap_or(20_000.0);
        let clients = start::<R>().await?;
        let over = Arc::new(AtomicBool::new(false));
        let computing: Vec<_> = (0..COMPUTING).map(|_| R::spawn(compute::<R>(Arc::clone(&over)))).collect();
        let latencies = Arc::new(std::sync::Mutex::new(Vec::new()));
        let lasts = if bencher.is_counted() { 2 * WARM_UP } else { LASTS };
        let rate = capacity * f64::from(PERCENT) / 100.0;
        on_another_thread({
            let latencies = Arc::clone(&latencies);
            move || *latencies.lock().unwrap() = Schedule::new(clients, rate, lasts).run().expect("the loopback works")
        })
        .await;
        over.store(true, Ordering::Relaxed);
        for task in computing {
            task.await.expect("it neither panics nor is cancelled");
        }
        bencher.record_latencies(QUANTILES, &mut latencies.lock().unwrap());
        Ok(())
    }
}

/// How many requests a second the server bears: each client asks again as soon as it is answered. In nanoseconds of the wall's
/// clock for a request.
#[derive(Debug)]
pub(crate) struct Saturated;

impl NetWorkload for Saturated {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        let mut clients = start::<R>().await?;
        bencher
            .measure_least(20_000, async |requests| {
                let (give_back, taken) = std::sync::mpsc::channel();
                let mut lent = std::mem::take(&mut clients);
                on_another_thread(move || {
                    machine::leave_core();
                    saturate(&mut lent, requests).expect("the loopback works");
                    give_back.send(lent).expect("the server waits for them");
                })
                .await;
                clients = taken.recv().expect("the clients were given back");
            })
            .await;
        Ok(())
    }
}

/// A server with connections, each served by a task of its own.
async fn start<R: Net>() -> io::Result<Vec<TcpStream>> {
    let listener = R::listen().await?;
    let address = R::address(&listener)?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect(address)?);
        let stream = R::accept(&listener).await?;
        R::set_nodelay(&stream)?;
        R::detach(R::spawn(serve::<R>(stream)));
    }
    Ok(clients)
}

/// Keeps one request on every connection.
fn saturate(clients: &mut [TcpStream], requests: u64) -> io::Result<()> {
    let message = [7; MESSAGE];
    let mut answer = [0; MESSAGE];
    for client in &mut *clients {
        client.write_all(&message)?;
    }
    for number in 0..requests {
        let client = &mut clients[usize::try_from(number).expect("it is small") % CONNECTIONS];
        client.read_exact(&mut answer)?;
        if number + (CONNECTIONS as u64) < requests {
            client.write_all(&message)?;
        }
    }
    Ok(())
}

async fn compute<R: Runtime>(over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let from = Instant::now();
        while from.elapsed() < COMPUTES {
            std::hint::spin_loop();
        }
        WakeSelf(1).await;
    }
}

/// The client: sends what is due and takes what has come, without ever waiting for either.
struct Schedule {
    clients: Vec<TcpStream>,
    /// For each connection, when its unanswered requests were due.
    due: Vec<VecDeque<Duration>>,
    epoll: rustix::fd::OwnedFd,
    interval: Duration,
    lasts: Duration,
}

impl Schedule {
    fn new(clients: Vec<TcpStream>, rate: f64, lasts: Duration) -> Schedule {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("the system has epoll");
        for (number, client) in clients.iter().enumerate() {
            client.set_nonblocking(true).expect("it is a socket");
            let number = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, client, number, epoll::EventFlags::IN).expect("it is a socket");
        }
        let due = clients.iter().map(|_| VecDeque::new()).collect();
        Schedule { clients, due, epoll, interval: Duration::from_secs_f64(1.0 / rate), lasts }
    }

    fn run(mut self) -> io::Result<Vec<f64>> {
        machine::leave_core();
        let start = Instant::now();
        let (mut next, mut sent) = (Duration::ZERO, 0);
        let mut latencies = Vec::new();
        let mut events = Vec::with_capacity(CONNECTIONS);
        while next < self.lasts || self.due.iter().any(|due| !due.is_empty()) {
            while next <= start.elapsed() && next < self.lasts {
                self.due[sent % CONNECTIONS].push_back(next);
                // Sixty-four bytes fit into any buffer of the kernel's that is not full of hundreds of them.
                self.clients[sent % CONNECTIONS].write_all(&[7; MESSAGE])?;
                sent += 1;
                next += self.interval;
            }
            events.clear();
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&rustix::event::Timespec::default()),
            )?;
            for event in &events {
                self.take(usize::try_from(event.data.u64()).expect("it was one"), start, &mut latencies)?;
            }
        }
        Ok(latencies)
    }

    /// Reads whole answers only: the server writes each with one call.
    fn take(&mut self, number: usize, start: Instant, latencies: &mut Vec<f64>) -> io::Result<()> {
        let mut answers = [0; 64 * MESSAGE];
        let read = self.clients[number].read(&mut answers)?;
        assert_eq!(read % MESSAGE, 0, "the server echoes what it read at once");
        let now = start.elapsed();
        for due in self.due[number].drain(..read / MESSAGE) {
            if due > WARM_UP {
                latencies.push(now.saturating_sub(due).as_secs_f64() * 1e9);
            }
        }
        Ok(())
    }
}

/// From a task's wake to its poll, when ten thousand others are ready too.
#[derive(Debug)]
pub(crate) struct WakeToPoll;

impl TimedWorkload for WakeToPoll {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        let over = crowd::<R>(CROWD);
        let mut latencies = Vec::new();
        for _ in 0..300 {
            let woken = Instant::now();
            WakeSelf(1).await;
            latencies.push(woken.elapsed().as_secs_f64() * 1e9);
        }
        over.store(true, Ordering::Relaxed);
        bencher.record_latencies(QUANTILES, &mut latencies);
    }
}

/// How late timers of a millisecond are, beside so many tasks that are always ready.
#[derive(Debug)]
pub(crate) struct Lateness<const READY: u64>;

impl<const READY: u64> TimedWorkload for Lateness<READY> {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        let over = crowd::<R>(READY);
        let mut latencies = Vec::new();
        for _ in 0..if bencher.is_counted() { 20 } else { 200 } {
            let due = Instant::now() + Duration::from_millis(1);
            R::sleep(Duration::from_millis(1)).await;
            latencies.push(due.elapsed().as_secs_f64() * 1e9);
        }
        over.store(true, Ordering::Relaxed);
        bencher.record_latencies(QUANTILES, &mut latencies);
    }
}

/// Tasks that are always ready, until told.
fn crowd<R: Runtime>(tasks: u64) -> Arc<AtomicBool> {
    let over = Arc::new(AtomicBool::new(false));
    for _ in 0..tasks {
        let over = Arc::clone(&over);
        R::detach(R::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                WakeSelf(1).await;
            }
        }));
    }
    over
}
