//! The sizes of what programs hold by the thousand: futures, handles, sockets. A change here is a change of every task that
//! holds one; make it on purpose, and then change the table.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

use std::future::{Ready, ready};
use std::mem::size_of_val;
use std::rc::Rc;
use std::time::Duration;

use handcar::net::{
    Accept, Connect, LookupHost, OwnedReadHalf, OwnedWriteHalf, Peek, Source, TcpListener, TcpStream, UdpSocket,
    UnixStream,
};
use handcar::sync::{Acquire, OwnedSemaphorePermit, Recv, Semaphore, SemaphorePermit, mpsc, oneshot};
use handcar::{
    AbortHandle, CancelReason, Elapsed, Instant, Interval, JoinError, JoinHandle, PanicPayload, RunError, Runtime,
    Sleep, Spawner, Tick, Timeout, ToThread, WakeHandle, YieldNow, sleep, spawn, timeout,
};

macro_rules! table {
    ($($expected:literal $type:ty),* $(,)?) => {
        [$((stringify!($type), $expected, size_of::<$type>())),*]
    };
}

#[test]
fn nothing_has_grown() {
    let table = table![
        0 Elapsed,
        1 YieldNow,
        8 Instant,
        48 Sleep,
        72 Interval,
        24 Tick<'static>,
        72 Timeout<Ready<()>>,
        80 ToThread<()>,
        16 JoinHandle<()>,
        24 Option<JoinHandle<()>>,
        16 AbortHandle,
        8 handcar::task::TaskId,
        32 Option<handcar::task::TaskInfo>,
        8 CancelReason,
        8 PanicPayload,
        16 JoinError,
        16 Result<(), JoinError>,
        16 RunError,
        32 Runtime,
        8 Spawner,
        8 WakeHandle,
        24 Source<std::net::TcpStream>,
        24 TcpStream,
        24 Option<TcpStream>,
        24 UdpSocket,
        24 UnixStream,
        56 TcpListener, // with the count of connections that came together; a program has few
        8 OwnedReadHalf,
        16 OwnedWriteHalf,
        112 Accept<'static>,
        80 Peek<'static>,
        64 Connect,
        56 LookupHost,
        96 Semaphore,
        32 Acquire<&'static Semaphore>,
        32 Acquire<Rc<Semaphore>>,
        16 SemaphorePermit<'static>,
        16 OwnedSemaphorePermit,
        16 mpsc::Sender<u64>, // with the line that cloned it, for deadlock reports
        8 mpsc::Receiver<u64>,
        16 Recv<'static, mpsc::Receiver<u64>>,
        40 mpsc::Sending<'static, u64>,
        8 oneshot::Sender<u64>,
        16 oneshot::Receiver<u64>,
    ];
    let changed: Vec<_> = table.iter().filter(|(_, expected, size)| expected != size).collect();
    assert!(changed.is_empty(), "(type, expected, now): {changed:#?}");
}

#[test]
fn futures_of_async_blocks_hold_no_more_than_their_parts() {
    let nap = async { sleep(Duration::ZERO).await };
    assert!(size_of_val(&nap) <= size_of::<Sleep>() + 8, "{}", size_of_val(&nap));
    let limited = async { timeout(Duration::ZERO, ready(())).await };
    assert!(size_of_val(&limited) <= size_of::<Timeout<Ready<()>>>() + 8, "{}", size_of_val(&limited));
    let join = async { spawn(async {}).await };
    assert!(size_of_val(&join) <= size_of::<JoinHandle<()>>() + 8, "{}", size_of_val(&join));
}
