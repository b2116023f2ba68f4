//! Detaching names what becomes of a result: only a task without one is detached by `detach`.

#[handcar::main]
async fn main() {
    handcar::spawn(async { Err::<(), _>("lost") }).detach();
}
