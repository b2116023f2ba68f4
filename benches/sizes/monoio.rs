use monoio::io::{AsyncReadRent, AsyncWriteRentExt};

fn main() -> std::io::Result<()> {
    let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build()?;
    runtime.block_on(async {
        let listener = monoio::net::TcpListener::bind("127.0.0.1:7007")?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            monoio::spawn(async move {
                let mut buffer = Vec::with_capacity(1024);
                loop {
                    let (read, full) = stream.read(buffer).await;
                    let Ok(1..) = read else { return };
                    let (written, emptied) = stream.write_all(full).await;
                    if written.is_err() {
                        return;
                    }
                    buffer = emptied;
                    buffer.clear();
                }
            });
        }
    })
}
