//! Latency where it hurts: the slowest of a thousand, not the average.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::echo::{connections, serve};
use super::open_loop::{self, Exchange};
use super::{NetWorkload, TimedWorkload, WakeSelf, join};
use crate::bencher::{Bencher, Quantiles};
use crate::runtime::{Net, Runtime, Timers};

/// Connections on which requests are sent in turn.
const CONNECTIONS: u64 = 100;
/// How long the task beside computes in each poll.
const COMPUTES: Duration = Duration::from_micros(200);
/// Tasks that are always ready.
const CROWD: u64 = 10_000;
/// Slices of a measurement without a load; see [`open_loop`].
const SLICES: usize = 5;
/// What is echoed.
const ECHO: Exchange = Exchange { request: &[7; 64], answer: 64 };

/// The percentiles of a latency under load, of which a slice has thousands.
pub(crate) const QUANTILES: Quantiles = &[("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
/// Those of the others: of the few hundred of a slice, the slowest of a thousand would be a guess.
pub(crate) const FEW: Quantiles = &[("p50", 0.5), ("p99", 0.99)];

/// An echo server under as many percent of the load that the machine bears as the row says, with so many tasks beside that
/// compute.
#[derive(Debug)]
pub(crate) struct OpenLoop<const COMPUTING: usize>;

impl<const COMPUTING: usize> NetWorkload for OpenLoop<COMPUTING> {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        let clients = start::<R>().await?;
        let over = Arc::new(AtomicBool::new(false));
        let computing: Vec<_> = (0..COMPUTING).map(|_| R::spawn(compute::<R>(Arc::clone(&over)))).collect();
        open_loop::under_load(bencher, clients, ECHO).await;
        over.store(true, Ordering::Relaxed);
        join::<R, _>(computing).await;
        Ok(())
    }
}

/// How many echoes it answers, when all clients wait for them.
#[derive(Debug)]
pub(crate) struct Saturated;

impl NetWorkload for Saturated {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        let clients = start::<R>().await?;
        open_loop::saturated(bencher, clients, ECHO).await;
        Ok(())
    }
}

/// How many echoes on schedule it bears.
#[derive(Debug)]
pub(crate) struct OnSchedule;

impl NetWorkload for OnSchedule {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        let clients = start::<R>().await?;
        open_loop::on_schedule(bencher, clients, ECHO).await;
        Ok(())
    }
}

/// A server with connections, each served by a task of its own.
async fn start<R: Net>() -> io::Result<Vec<TcpStream>> {
    let (clients, streams) = connections::<R>(CONNECTIONS).await?;
    for stream in streams {
        R::spawn_detached(serve::<R>(stream));
    }
    Ok(clients)
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

/// From a task's wake to its poll, when ten thousand others are ready too.
#[derive(Debug)]
pub(crate) struct WakeToPoll;

impl TimedWorkload for WakeToPoll {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        let over = crowd::<R>(CROWD);
        let mut slices = slices(if bencher.is_counted() { 60 } else { 300 }, async || {
            let woken = Instant::now();
            WakeSelf(1).await;
            woken.elapsed()
        })
        .await;
        over.store(true, Ordering::Relaxed);
        bencher.record_latencies(FEW, &mut slices);
    }
}

/// How late timers of a millisecond are, beside as many tasks that are always ready as the row says.
#[derive(Debug)]
pub(crate) struct Lateness;

impl TimedWorkload for Lateness {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        let over = crowd::<R>(bencher.size());
        let mut slices = slices(if bencher.is_counted() { 4 } else { 200 }, async || {
            let due = Instant::now() + Duration::from_millis(1);
            R::sleep(Duration::from_millis(1)).await;
            due.elapsed()
        })
        .await;
        over.store(true, Ordering::Relaxed);
        bencher.record_latencies(FEW, &mut slices);
    }
}

/// Measures as many latencies for each slice, in nanoseconds.
async fn slices(of_each: usize, latency: impl AsyncFn() -> Duration) -> Vec<Vec<f64>> {
    let mut slices = vec![Vec::new(); SLICES];
    for slice in &mut slices {
        for _ in 0..of_each {
            slice.push(latency().await.as_secs_f64() * 1e9);
        }
    }
    slices
}

/// Tasks that are always ready, until told.
fn crowd<R: Runtime>(tasks: u64) -> Arc<AtomicBool> {
    let over = Arc::new(AtomicBool::new(false));
    for _ in 0..tasks {
        let over = Arc::clone(&over);
        R::spawn_detached(async move {
            while !over.load(Ordering::Relaxed) {
                WakeSelf(1).await;
            }
        });
    }
    over
}
