//! What busy tasks do to the others: `cargo bench -p handcar-benches --bench fairness`.
//!
//! Beside each load, 100 ticks of 10 ms and an echo over loopback run on the same thread. The ticks should take a second, and an echo a
//! small multiple of what it takes alone. These are figures to look at; that nobody starves is tested without a clock
//! in `tests/a_busy_task_starves_nobody.rs`.

use std::io;
use std::time::{Duration, Instant};

use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use handcar::net::{TcpListener, TcpStream};
use handcar::sync::mpsc;
use handcar::{JoinHandle, interval, spawn, yield_now};

const TICKS: u32 = 100;
const PERIOD: Duration = Duration::from_millis(10);

fn main() -> io::Result<()> {
    println!("{:<42} {:>10} {:>12} {:>10} {:>10}", "beside", "100 ticks", "latest tick", "echo p50", "echo p99");
    measure("nothing", || spawn(async {}))?;
    measure("a task that wakes itself for ever", || spawn(spin(Duration::ZERO)))?;
    measure("a task that computes 200 us in each poll", || spawn(spin(Duration::from_micros(200))))?;
    measure("a loop over a channel that is never empty", || spawn(feed_itself()))
}

async fn spin(compute: Duration) {
    loop {
        let from = Instant::now();
        while from.elapsed() < compute {
            std::hint::spin_loop();
        }
        yield_now().await;
    }
}

async fn feed_itself() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    sender.send(()).expect("the receiver lives");
    while receiver.recv().await.is_some() {
        sender.send(()).expect("the receiver lives");
    }
}

/// Prints one line of the table.
fn measure(name: &str, load: impl FnOnce() -> JoinHandle<()>) -> io::Result<()> {
    handcar::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut buffer = [0; 64];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return io::Result::Ok(()),
                    read => stream.write_all(&buffer[..read]).await?,
                }
            }
        });
        let _load = load();
        let ticks = spawn(tick());
        let mut stream = TcpStream::connect(address).await?;
        let mut echoes = Vec::new();
        let mut buffer = [0; 64];
        while !ticks.is_finished() {
            let from = Instant::now();
            stream.write_all(&[1; 32]).await?;
            stream.read_exact(&mut buffer[..32]).await?;
            echoes.push(from.elapsed());
        }
        drop(stream);
        server.await.expect("the server ends with its connection")?;
        let (took, latest) = ticks.await.expect("ticks do not panic");
        echoes.sort_unstable();
        let (p50, p99) = (echoes[echoes.len() / 2], echoes[echoes.len() * 99 / 100]);
        println!("{name:<42} {took:>10.3?} {latest:>12.1?} {p50:>10.1?} {p99:>10.1?}");
        Ok(())
    })
}

/// How long the ticks took, and how late the latest was.
async fn tick() -> (Duration, Duration) {
    let mut ticks = interval(PERIOD);
    let start = ticks.tick().await;
    let mut latest = Duration::ZERO;
    for _ in 0..TICKS {
        let due = ticks.tick().await;
        latest = latest.max(due.elapsed());
    }
    (start.elapsed(), latest)
}
