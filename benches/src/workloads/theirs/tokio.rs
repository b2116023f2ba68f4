//! tokio's: `rt_current_thread`, `sync_mpsc`, `sync_semaphore`, `time_timeout`.

use std::hint::black_box;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use crate::bencher::{Bencher, STEP};
use crate::runtime::{Runtime, Timers};
use crate::toolkit::Toolkit;
use crate::workloads::{SyncWorkload, TimedWorkload, Workload, join};

/// `spawn_many_local`: a thousand empty tasks, joined in order.
#[derive(Debug)]
pub(crate) struct SpawnManyLocal;

impl Workload for SpawnManyLocal {
    async fn drive<R: Runtime>(bencher: &mut Bencher) {
        let mut handles = Vec::with_capacity(1000);
        bencher
            .measure(async |operations| {
                for _ in 0..operations / STEP {
                    handles.extend((0..STEP).map(|_| R::spawn(async {})));
                    join::<R, _>(handles.drain(..)).await;
                }
            })
            .await;
    }
}

/// 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Medium([usize; 64]);

/// 32 KiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Large([Medium; 64]);

fn size(bencher: &Bencher) -> usize {
    usize::try_from(bencher.size()).expect("it fits into memory")
}

/// What is sent.
pub(crate) trait Message: PartialEq + Copy + std::fmt::Debug + 'static {
    const ONE: Self;
}

impl Message for Medium {
    const ONE: Medium = Medium([1; 64]);
}

#[expect(clippy::large_stack_arrays, reason = "that it is large is the point")]
impl Message for Large {
    const ONE: Large = Large([Medium::ONE; 64]);
}

/// Channels are made of 1000 places at least by families that make all places at once: fewer at a time than elsewhere.
const FEW: u64 = 10;

/// `create_medium`: makes and drops a channel for as many messages as the row says, of 512 bytes each.
#[derive(Debug)]
pub(crate) struct CreateMedium;

impl SyncWorkload for CreateMedium {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let places = size(bencher);
        bencher
            .measure_least(FEW, async |operations| {
                for _ in 0..operations {
                    black_box(&K::channel::<Medium>(places));
                }
            })
            .await;
    }
}

/// `send`: one message through a new channel for a thousand.
#[derive(Debug)]
pub(crate) struct Send<T>(PhantomData<T>);

impl<T: Message> SyncWorkload for Send<T> {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        bencher
            .measure_least(FEW, async |operations| {
                for _ in 0..operations {
                    let (sender, mut receiver) = K::channel::<T>(1000);
                    assert!(K::send(&sender, T::ONE).await);
                    assert_eq!(K::receive(&mut receiver).await, Some(T::ONE));
                }
            })
            .await;
    }
}

const SENDERS: u64 = 5;
/// Messages of each.
const EACH: u64 = 1000;

/// `contention/bounded` and, where not all fit, `contention/bounded_full`: five tasks send a thousand messages each.
#[derive(Debug)]
pub(crate) struct Contention;

impl SyncWorkload for Contention {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let capacity = size(bencher);
        let send = async |sender: &K::Sender<u64>, number| K::send(sender, number).await;
        let receive = async |receiver: &mut K::Receiver<u64>| K::receive(receiver).await;
        contend::<R, _, _>(bencher, || K::channel(capacity), send, receive).await;
    }
}

/// `contention/unbounded`.
#[derive(Debug)]
pub(crate) struct ContentionUnbounded;

impl SyncWorkload for ContentionUnbounded {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let send = async |sender: &K::UnboundedSender<u64>, number| K::send_unbounded(sender, number);
        let receive = async |receiver: &mut K::UnboundedReceiver<u64>| K::receive_unbounded(receiver).await;
        contend::<R, _, _>(bencher, K::unbounded, send, receive).await;
    }
}

async fn contend<R: Runtime, S: Clone + 'static, Q>(
    bencher: &mut Bencher,
    channel: impl Fn() -> (S, Q),
    send: impl AsyncFn(&S, u64) -> bool + Copy + 'static,
    receive: impl AsyncFn(&mut Q) -> Option<u64>,
) {
    bencher
        .measure_least(SENDERS * EACH, async |operations| {
            for _ in 0..operations / (SENDERS * EACH) {
                let (sender, mut receiver) = channel();
                for _ in 0..SENDERS {
                    let sender = sender.clone();
                    R::spawn_detached(async move {
                        for number in 0..EACH {
                            assert!(send(&sender, number).await);
                        }
                    });
                }
                let mut sum = 0;
                for _ in 0..SENDERS * EACH {
                    sum += receive(&mut receiver).await.expect("not all has come");
                }
                assert_eq!(sum, SENDERS * EACH * (EACH - 1) / 2);
            }
        })
        .await;
}

/// `uncontented/bounded`: five thousand messages into a channel for a million, then out.
#[derive(Debug)]
pub(crate) struct Uncontended;

impl SyncWorkload for Uncontended {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        bencher
            .measure_least(SENDERS * EACH, async |operations| {
                for _ in 0..operations / (SENDERS * EACH) {
                    let (sender, mut receiver) = K::channel::<u64>(1_000_000);
                    for number in 0..SENDERS * EACH {
                        assert!(K::send(&sender, number).await);
                    }
                    for number in 0..SENDERS * EACH {
                        assert_eq!(K::receive(&mut receiver).await, Some(number));
                    }
                }
            })
            .await;
    }
}

/// `uncontended` of the semaphore: six times one of ten permits.
#[derive(Debug)]
pub(crate) struct Six;

impl SyncWorkload for Six {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let semaphore = K::semaphore(10);
        bencher
            .measure_least(6 * STEP, async |operations| {
                for _ in 0..operations / 6 {
                    for _ in 0..6 {
                        drop(black_box(K::acquire(&semaphore).await));
                    }
                }
            })
            .await;
    }
}

async fn take<K: Toolkit>(semaphore: Rc<K::Semaphore>) {
    drop(black_box(K::acquire(&semaphore).await));
}

/// `concurrent_single`: six futures in one task, each with one of as many permits as the row says.
#[derive(Debug)]
pub(crate) struct SixJoined;

impl SyncWorkload for SixJoined {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let permits = size(bencher);
        let semaphore = Rc::new(K::semaphore(permits));
        let one = || take::<K>(Rc::clone(&semaphore));
        bencher
            .measure_least(6 * STEP, async |operations| {
                for _ in 0..operations / 6 {
                    tokio::join!(one(), one(), one(), one(), one(), one());
                }
            })
            .await;
    }
}

/// `concurrent_multi`: six tasks.
#[derive(Debug)]
pub(crate) struct SixSpawned;

impl SyncWorkload for SixSpawned {
    async fn drive<R: Runtime, K: Toolkit>(bencher: &mut Bencher) {
        let permits = size(bencher);
        let semaphore = Rc::new(K::semaphore(permits));
        bencher
            .measure_least(6 * STEP, async |operations| {
                for _ in 0..operations / 6 {
                    let tasks = [(); 6].map(|()| R::spawn(take::<K>(Rc::clone(&semaphore))));
                    join::<R, _>(tasks).await;
                }
            })
            .await;
    }
}

/// `single_thread_timeout`: a timeout around what is ready.
#[derive(Debug)]
pub(crate) struct TimeoutOfReady;

impl TimedWorkload for TimeoutOfReady {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    let one = R::timeout(Duration::from_secs(1), async { black_box(1) }).await;
                    assert_eq!(one, Some(1));
                }
            })
            .await;
    }
}

/// `single_thread_sleep`: a sleep that is made and dropped.
#[derive(Debug)]
pub(crate) struct SleepUnpolled;

impl TimedWorkload for SleepUnpolled {
    async fn drive<R: Timers>(bencher: &mut Bencher) {
        bencher
            .measure(async |operations| {
                for _ in 0..operations {
                    drop(black_box(R::sleep(Duration::from_secs(1))));
                }
            })
            .await;
    }
}
