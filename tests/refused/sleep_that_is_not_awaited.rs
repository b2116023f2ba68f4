#![deny(unused_must_use)]

#[handcar::main]
async fn main() {
    handcar::sleep(std::time::Duration::from_secs(1));
    handcar::timeout(std::time::Duration::from_secs(1), async {});
    handcar::yield_now();
    handcar::net::TcpStream::connect("127.0.0.1:80");
    handcar::signal::ctrl_c();
}
