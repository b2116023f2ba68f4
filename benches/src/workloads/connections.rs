//! Connections as such: coming and going, and doing nothing.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::echo::{connect, serve};
use super::thread_job::on_another_thread;
use super::{NetWorkload, settle};
use crate::bencher::Bencher;
use crate::machine;
use crate::runtime::Net;

/// Clients that connect before the first of them looks whether it was served: fewer than fit into a listener's backlog.
const AT_ONCE: u64 = 50;

/// Accepts connections and closes them.
#[derive(Debug)]
pub(crate) struct Accept;

impl NetWorkload for Accept {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        let listener = R::listen().await?;
        let address = R::address(&listener)?;
        let server = R::spawn(async move {
            loop {
                drop(R::accept(&listener).await.expect("there are descriptors left"));
            }
        });
        bencher
            .measure_cpu(5000, async |connections| {
                on_another_thread(move || come_and_go(address, connections).expect("the loopback works")).await;
            })
            .await;
        R::detach::<()>(server);
        Ok(())
    }
}

/// The clients. They reset their connections: a port that lingers after each would soon leave none.
fn come_and_go(address: SocketAddr, connections: u64) -> io::Result<()> {
    for _ in 0..connections / AT_ONCE {
        let clients = (0..AT_ONCE).map(|_| TcpStream::connect(address)).collect::<io::Result<Vec<_>>>()?;
        for mut client in clients {
            assert_eq!(client.read(&mut [0])?, 0, "the server closes");
            rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
        }
    }
    Ok(())
}

/// A task with a connection and a buffer, which waits for a request.
#[derive(Debug)]
pub(crate) struct IdleConnection;

impl NetWorkload for IdleConnection {
    async fn drive<R: Net>(bencher: &mut Bencher) -> io::Result<()> {
        machine::allow_many_descriptors();
        let listener = R::listen().await?;
        let address = R::address(&listener)?;
        let mut clients = Vec::with_capacity(10_000);
        bencher
            .measure_memory(5000, machine::resident_bytes, async |connections| {
                for _ in 0..connections {
                    clients.push(connect(address).expect("there are descriptors left"));
                    let stream = R::accept(&listener).await.expect("there are descriptors left");
                    R::spawn_detached(serve::<R>(stream));
                }
                settle::<R>().await; // each is polled once, and waits
            })
            .await;
        Ok(())
    }
}
