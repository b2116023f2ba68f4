//! The address of a Unix socket, from a path.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use socket2::SockAddr;

/// On Linux a path that begins with a zero byte is a name in the abstract namespace. In a path the system would take one for the end.
pub(super) fn address(path: &Path) -> io::Result<SockAddr> {
    let bytes = path.as_os_str().as_bytes();
    let is_abstract = cfg!(any(target_os = "linux", target_os = "android")) && bytes.starts_with(b"\0");
    let fault = match bytes {
        [] => "it is empty",
        _ if !is_abstract && bytes.contains(&0) => "it has a zero byte in it",
        _ => match SockAddr::unix(path) {
            Ok(addr) => return Ok(addr),
            Err(_) => "it is too long",
        },
    };
    let path = path.to_string_lossy();
    let message = format!("`{}` cannot be the path of a Unix socket: {fault}", path.escape_debug());
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}
