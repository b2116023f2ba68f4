use futures_lite::{AsyncReadExt, AsyncWriteExt};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let executor = glommio::LocalExecutorBuilder::new(glommio::Placement::Unbound).make().map_err(|e| e.to_string())?;
    executor.run(async {
        let listener = glommio::net::TcpListener::bind("127.0.0.1:7007").map_err(|e| e.to_string())?;
        loop {
            let mut stream = listener.accept().await.map_err(|e| e.to_string())?;
            glommio::spawn_local(async move {
                let mut buffer = vec![0; 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            })
            .detach();
        }
    })
}
