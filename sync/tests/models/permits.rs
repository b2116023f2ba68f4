//! Semaphore, mutex and read-write lock: permits, each in its own clothes.

use std::any::Any;
use std::rc::Rc;

use handcar_sync::{Mutex, RwLock, Semaphore};

use crate::common::{Boxed, Model, Waiter, explore};
use crate::line::{Line, Stand};
use crate::{DEPTH, compare_wakes};

type Held = Result<Box<dyn Any>, ()>;

struct Permits {
    line: Line,
    make: Rc<dyn Fn(usize) -> Boxed<Held>>,
    semaphore: Option<Rc<Semaphore>>,
    waiters: [Waiter<Held>; 3],
    held: [Option<Box<dyn Any>>; 3],
}

impl Model for Permits {
    const OPERATIONS: usize = 8;

    fn step(&mut self, operation: usize) -> bool {
        let who = operation % 3;
        match operation {
            0..3 => {
                if self.held[who].is_some() {
                    return false;
                }
                let expected = self.line.poll(who);
                let got = self.waiters[who].poll(|| (self.make)(who));
                assert_eq!(got.as_ref().map(Result::is_ok), expected.map(|expected| expected.is_ok()));
                if let Some(expected) = expected {
                    self.line.stands[who] = if expected.is_ok() { Stand::Holding } else { Stand::Absent };
                }
                self.held[who] = got.and_then(Result::ok);
            }
            3..6 => {
                if self.line.stands[who] == Stand::Absent {
                    return false;
                }
                self.line.drop(who);
                self.waiters[who].future = None;
                self.held[who] = None;
            }
            6 => {
                let Some(semaphore) = &self.semaphore else { return false };
                semaphore.add_permits(1);
                self.line.permits += 1;
                self.line.grant();
            }
            _ => {
                let Some(semaphore) = self.semaphore.as_ref().filter(|_| !self.line.closed) else { return false };
                semaphore.close();
                self.line.close();
            }
        }
        compare_wakes(&mut self.waiters, &mut self.line.woken);
        if let Some(semaphore) = &self.semaphore {
            assert_eq!(semaphore.available_permits(), self.line.permits);
        }
        true
    }
}

fn permits(permits: usize, needs: [usize; 3], make: Rc<dyn Fn(usize) -> Boxed<Held>>) -> Permits {
    let line = Line { permits, needs, ..Line::default() };
    Permits { line, make, semaphore: None, waiters: Default::default(), held: Default::default() }
}

#[test]
fn the_semaphore_agrees_with_its_model() {
    for (start, needs) in [(0, [1, 2, 1]), (1, [2, 1, 1]), (2, [2, 3, 1])] {
        explore(DEPTH, || {
            let semaphore = Rc::new(Semaphore::new(start));
            let make = {
                let semaphore = semaphore.clone();
                move |who: usize| -> Boxed<Held> {
                    let acquire = semaphore.clone().acquire_many_owned(u32::try_from(needs[who]).unwrap());
                    Box::pin(async { acquire.await.map(|permit| Box::new(permit) as Box<dyn Any>).map_err(|_| ()) })
                }
            };
            Permits { semaphore: Some(semaphore), ..permits(start, needs, Rc::new(make)) }
        });
    }
}

#[test]
fn the_mutex_agrees_with_its_model() {
    explore(DEPTH, || {
        let mutex = Rc::new(Mutex::new(0));
        let make = move |_| -> Boxed<Held> {
            let lock = mutex.clone().lock_owned();
            Box::pin(async {
                let mut guard = lock.await;
                *guard += 1;
                Ok(Box::new(guard) as Box<dyn Any>)
            })
        };
        permits(1, [1; 3], Rc::new(make))
    });
}

#[test]
fn the_read_write_lock_agrees_with_its_model() {
    let all = 1 << 20;
    for needs in [[1, all, 1], [all, 1, 1], [all, 1, all]] {
        explore(DEPTH, || {
            let lock = Rc::new(RwLock::new(0));
            let make = move |who: usize| -> Boxed<Held> {
                let lock = lock.clone();
                Box::pin(async move {
                    if needs[who] == 1 {
                        return Ok(Box::new(lock.read_owned().await) as Box<dyn Any>);
                    }
                    let mut guard = lock.write_owned().await;
                    *guard += 1;
                    Ok(Box::new(guard) as Box<dyn Any>)
                })
            };
            permits(all, needs, Rc::new(make))
        });
    }
}
