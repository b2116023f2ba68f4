//! What the operating system is asked: one core to stay on, the thread's CPU time, the process's memory.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::CpuSet;
use rustix::time::{ClockId, clock_gettime};

/// The CPU time of this thread.
pub(crate) fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).expect("no thread has run for less than nothing"),
        u32::try_from(time.tv_nsec).expect("nanoseconds are below a billion"),
    )
}

/// Bytes of this process that are in memory.
pub(crate) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.expect("a process has a VmRSS line") * 1024
}

/// Bytes that the allocator has given out and not got back, its own headers and rounding included; what it took from the
/// system in whole mappings too.
///
/// This asks the allocator for its books rather than counting in front of it, so that the measured code meets the allocator
/// that a program meets, and so that the rounding up to a size class counts as well: a program pays for it.
pub(crate) fn allocated_bytes() -> u64 {
    // SAFETY: `mallinfo2` reads the allocator's books under the allocator's own locks, takes nothing, and returns a struct of
    // plain integers.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

/// Stays on `core`, or on the last one allowed; returns which. What this process starts stays there too.
pub(crate) fn pin(core: Option<usize>) -> Result<usize, String> {
    let allowed =
        rustix::thread::sched_getaffinity(None).map_err(|error| format!("no cores can be listed: {error}"))?;
    let core = match core {
        Some(core) => core,
        None => (0..CpuSet::MAX_CPU).rfind(|&core| allowed.is_set(core)).ok_or("no core is allowed")?,
    };
    let mut only = CpuSet::new();
    only.set(core);
    rustix::thread::sched_setaffinity(None, &only).map_err(|error| format!("core {core} cannot be used: {error}"))?;
    Ok(core)
}

/// Moves this thread to whatever other cores there are: a client that shared the server's core would measure itself.
pub(crate) fn leave_core() {
    let mut others = CpuSet::new();
    let here = rustix::thread::sched_getaffinity(None).expect("a thread has cores");
    for core in (0..online_cores()).filter(|&core| !here.is_set(core) || here.count() > 1) {
        others.set(core);
    }
    if others.count() > 0 {
        rustix::thread::sched_setaffinity(None, &others).expect("a thread may move to the cores of its machine");
    }
}

/// How many cores the machine has, whatever this process is pinned to.
pub(crate) fn online_cores() -> usize {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    online.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<usize>().ok()).map_or(1, |last| last + 1)
}

/// Lets this process open as many descriptors as it is ever allowed to.
pub(crate) fn allow_many_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a process may go up to its own maximum");
}

/// How many connections to itself this process may have: two descriptors each, from one address with its ports.
pub(crate) fn most_connections() -> u64 {
    let descriptors = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    (descriptors.saturating_sub(200) / 2).min(25_000) / 100 * 100
}

/// The processor's name.
pub(crate) fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| String::from("unknown"), |(_, name)| name.to_owned())
}

/// The system's name and version.
pub(crate) fn kernel() -> String {
    let uname = rustix::system::uname();
    format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy())
}

/// Who gets transparent huge pages: where all do, a runtime's memory and its misses depend on how it allocates.
pub(crate) fn huge_pages() -> String {
    let choice = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    choice.split(['[', ']']).nth(1).unwrap_or("unknown").to_owned()
}

/// How many were runnable over the last minute.
pub(crate) fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}
