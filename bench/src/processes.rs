//! What processes use, as the kernel tells it.

use std::{fs, time::Duration};

/// The unit of the kernel's CPU times: `sysconf(_SC_CLK_TCK)` is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time of these processes, and of their children that have ended.
pub fn cpu(processes: &[u32]) -> Duration {
    processes.iter().map(|process| ticks(*process)).sum::<u32>() * TICK
}

fn ticks(process: u32) -> u32 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
        return 0;
    };
    // The name, in brackets, may contain blanks. utime, stime, cutime and cstime are fields 14 to 17.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|ticks| ticks.parse::<u32>().ok())
        .sum()
}

/// A line of `/proc/PID/status` in bytes.
fn status(process: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let value = status.lines().find_map(|found| found.strip_prefix(line));
    let kilobytes = value.and_then(|value| value.trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

/// The memory that a process uses now.
pub fn memory(process: u32) -> u64 {
    status(process, "VmRSS:")
}

/// The most memory that it used since [`forget_peak`].
pub fn peak(process: u32) -> u64 {
    status(process, "VmHWM:")
}

/// Makes the present use of memory its peak.
pub fn forget_peak(process: u32) {
    // Where this is not allowed, the peak is that since the process began.
    let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
}
