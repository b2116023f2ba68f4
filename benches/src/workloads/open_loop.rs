//! Clients that send on schedule, whether or not the last request was answered ("open loop").
//!
//! Each latency counts from the moment at which its request was due. A client that waits for its answer before it asks again would
//! hide every stall behind the one request that met it. The clients are a thread of their own on a core of its own; only the
//! server's runtime is under test.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::epoll;

use super::tails::QUANTILES;
use super::thread_job::on_another_thread;
use crate::bencher::Bencher;
use crate::machine;
use crate::stats::Spread;

/// For how long requests are sent, in slices of time. The first one warms up.
const SLICES: u32 = 41;
/// How long one is. What stalls a runtime more often than every tenth of a second is in the median slice; a machine that stops altogether,
/// a few times a second, decides nothing.
const SLICE: Duration = Duration::from_millis(50);
/// A load is borne when the median latency of each slice is less, in nanoseconds. It is a third of that in most; where client or server
/// cannot keep up, the requests that wait soon make it several times as much.
const BORNE: f64 = 100_000.0;
/// Requests a second that everybody bears, and the step by which more are tried.
const LEAST_RATE: f64 = 10_000.0;
const STEP: f64 = 1.3;
/// Requests a second where nobody said how many the machine bears: a smoke run.
const UNKNOWN: f64 = 20_000.0;

/// The environment variable that holds the capacity which loads are a share of, in requests a second. The runner measures it
/// once, on tokio, so that all entrants bear the same load.
pub(crate) const CAPACITY: &str = "HANDCAR_CAPACITY";

/// What goes over each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    /// What is sent.
    pub(crate) request: &'static [u8],
    /// Bytes of each answer.
    pub(crate) answer: usize,
}

/// Measures the latencies under as many percent of what the machine bears as the row says.
pub(crate) async fn under_load(bencher: &mut Bencher, clients: Vec<TcpStream>, exchange: Exchange) {
    let capacity = std::env::var(CAPACITY).ok().and_then(|text| text.parse::<f64>().ok()).unwrap_or(UNKNOWN);
    #[expect(clippy::cast_precision_loss, reason = "a percentage")]
    let rate = capacity * bencher.size() as f64 / 100.0;
    let slices = slices_of(bencher, SLICES);
    let latencies = Arc::new(Mutex::new(Vec::new()));
    on_another_thread({
        let latencies = Arc::clone(&latencies);
        move || {
            let mut schedule = Schedule::new(clients, exchange);
            *latencies.lock().unwrap() = schedule.run(rate, SLICE * slices).expect("the loopback works");
        }
    })
    .await;
    bencher.record_latencies(QUANTILES, &mut latencies.lock().unwrap()[1..]);
}

fn slices_of(bencher: &Bencher, slices: u32) -> u32 {
    if bencher.is_counted() { 2 } else { slices }
}

/// Measures how many requests on schedule the server [bears](BORNE). In nanoseconds from one to the next.
pub(crate) async fn on_schedule(bencher: &mut Bencher, clients: Vec<TcpStream>, exchange: Exchange) {
    let slices = slices_of(bencher, 6);
    let is_judged = !bencher.is_counted();
    let most = Arc::new(Mutex::new(0.0));
    on_another_thread({
        let most = Arc::clone(&most);
        move || {
            let mut schedule = Schedule::new(clients, exchange);
            let bears = |rate: f64| {
                let is_borne = schedule.bears(rate, SLICE * slices).expect("the loopback works");
                if is_judged { is_borne } else { rate <= LEAST_RATE }
            };
            *most.lock().unwrap() = highest(LEAST_RATE, bears);
        }
    })
    .await;
    bencher.record(Duration::from_secs_f64(1.0 / *most.lock().unwrap()), 1);
}

/// The highest rate that is borne, to a fiftieth: from the least one up, until one is not, and then what lies between the last two. One that
/// is not borne at first is tried once more: the machine may have been elsewhere.
///
/// # Panics
///
/// Panics if the least one is not borne.
fn highest(least: f64, mut bears: impl FnMut(f64) -> bool) -> f64 {
    let mut is_borne = |rate: f64| bears(rate) || bears(rate);
    assert!(is_borne(least), "it does not even bear {least} requests a second");
    let mut borne = least;
    while is_borne(borne * STEP) {
        borne *= STEP;
    }
    let mut too_high = borne * STEP;
    while too_high / borne > 1.02 {
        let between = (too_high * borne).sqrt();
        *(if is_borne(between) { &mut borne } else { &mut too_high }) = between;
    }
    borne
}

/// Measures how many requests the server answers: each client asks again as soon as it is answered. In nanoseconds of the wall's
/// clock for a request.
pub(crate) async fn saturated(bencher: &mut Bencher, mut clients: Vec<TcpStream>, exchange: Exchange) {
    bencher
        .measure_least(5000, async |requests| {
            let (give_back, taken) = std::sync::mpsc::channel();
            let mut lent = std::mem::take(&mut clients);
            on_another_thread(move || {
                machine::leave_core();
                saturate(&mut lent, exchange, requests).expect("the loopback works");
                give_back.send(lent).expect("the server waits for them");
            })
            .await;
            clients = taken.recv().expect("the clients were given back");
        })
        .await;
}

/// Keeps one request on every connection.
fn saturate(clients: &mut [TcpStream], exchange: Exchange, requests: u64) -> io::Result<()> {
    let mut answer = vec![0; exchange.answer];
    let all = clients.len();
    for client in &mut *clients {
        client.write_all(exchange.request)?;
    }
    for number in 0..requests {
        let client = &mut clients[usize::try_from(number).expect("it is small") % all];
        client.read_exact(&mut answer)?;
        if number + (all as u64) < requests {
            client.write_all(exchange.request)?;
        }
    }
    Ok(())
}

/// Sends what is due and takes what has come, without ever waiting for either.
struct Schedule {
    clients: Vec<Client>,
    exchange: Exchange,
    epoll: rustix::fd::OwnedFd,
}

struct Client {
    stream: TcpStream,
    /// When its unanswered requests were due.
    due: VecDeque<Duration>,
    /// Bytes of an answer that has not come whole.
    begun: usize,
}

impl Schedule {
    /// On the thread of the clients.
    fn new(streams: Vec<TcpStream>, exchange: Exchange) -> Schedule {
        machine::leave_core();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("the system has epoll");
        for (number, stream) in streams.iter().enumerate() {
            stream.set_nonblocking(true).expect("it is a socket");
            let number = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, stream, number, epoll::EventFlags::IN).expect("it is a socket");
        }
        let clients = streams.into_iter().map(|stream| Client { stream, due: VecDeque::new(), begun: 0 }).collect();
        Schedule { clients, exchange, epoll }
    }

    /// Whether the server bears as many requests a second, for so long.
    fn bears(&mut self, rate: f64, lasts: Duration) -> io::Result<bool> {
        let mut slices = self.run(rate, lasts)?;
        slices.remove(0); // it warms up
        Ok(slices.iter().all(|latencies| Spread::of(latencies).median < BORNE))
    }

    /// Returns the latencies of each slice's requests, in nanoseconds.
    fn run(&mut self, rate: f64, lasts: Duration) -> io::Result<Vec<Vec<f64>>> {
        let interval = Duration::from_secs_f64(1.0 / rate);
        let start = Instant::now();
        let all = self.clients.len();
        let (mut next, mut sent) = (Duration::ZERO, 0);
        let mut slices = vec![Vec::new(); slice_of(lasts)];
        let mut events = Vec::with_capacity(all);
        while next < lasts || self.clients.iter().any(|client| !client.due.is_empty()) {
            while next <= start.elapsed() && next < lasts {
                let client = &mut self.clients[sent % all];
                client.due.push_back(next);
                // A small request fits into any buffer of the kernel's that is not full of hundreds of them.
                client.stream.write_all(self.exchange.request)?;
                sent += 1;
                next += interval;
            }
            events.clear();
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&rustix::event::Timespec::default()),
            )?;
            for event in &events {
                let number = usize::try_from(event.data.u64()).expect("it was one");
                self.clients[number].take(self.exchange.answer, start, &mut slices)?;
            }
        }
        Ok(slices)
    }
}

/// The slice in which a request is due at this moment.
fn slice_of(due: Duration) -> usize {
    usize::try_from(due.as_nanos() / SLICE.as_nanos()).expect("it is small")
}

impl Client {
    /// Reads what there is, and keeps the latency of each answer that it ends.
    fn take(&mut self, answer: usize, start: Instant, slices: &mut [Vec<f64>]) -> io::Result<()> {
        let read = self.stream.read(&mut [0; 4096])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let now = start.elapsed();
        self.begun += read;
        for due in self.due.drain(..self.begun / answer) {
            slices[slice_of(due)].push(now.saturating_sub(due).as_secs_f64() * 1e9);
        }
        self.begun %= answer;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_rate_is_found_to_a_fiftieth() {
        for limit in [10_000.0, 12_999.0, 140_000.0, 3e6] {
            let mut tried = 0;
            let mut hiccups = [16_900.0, 120_000.0].into_iter().peekable();
            let found = highest(LEAST_RATE, |rate| {
                tried += 1;
                assert!(rate <= limit * STEP, "{rate} would drown a server that bears {limit}");
                rate <= limit && hiccups.next_if(|&from| rate >= from).is_none()
            });
            assert!(found <= limit && found * 1.02 >= limit, "{found} of {limit}");
            assert!(tried < 40, "{tried}");
        }
    }
}
