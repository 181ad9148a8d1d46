//! What a process has used of the machine, as Linux says it (proc(5)).

use rustix::time::{ClockId, clock_gettime};
use std::net::SocketAddr;
use std::time::Duration;

/// Ticks of `/proc/PID/stat` a second: the kernel's interface to programs has used this on every architecture that Rust
/// runs on, whatever the kernel itself counts in.
const TICKS: u64 = 100;

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all its threads, those that have ended included.
    pub cpu: Duration,
    /// Resident memory now, in bytes.
    pub rss: u64,
    /// The most it ever had, in bytes.
    pub rss_peak: u64,
}

/// Why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// There is no such process, or it is not ours to look at.
    #[error("process {0}: {1}")]
    Read(String, std::io::Error),
    /// Not in the form of proc(5).
    #[error("process {0}: /proc says nothing that can be read")]
    Form(String),
}

impl Usage {
    /// That of a process.
    ///
    /// # Errors
    /// [`UsageError`], naming the process.
    pub fn of(pid: u32) -> Result<Self, UsageError> {
        Self::read(&pid.to_string())
    }

    /// Our own.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn own() -> Result<Self, UsageError> {
        Self::read("self")
    }

    fn read(process: &str) -> Result<Self, UsageError> {
        let file = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/{process}/{name}"));
            text.map_err(|error| UsageError::Read(process.to_owned(), error))
        };
        let (stat, status) = (file("stat")?, file("status")?);
        let form = || UsageError::Form(process.to_owned());
        Ok(Self {
            cpu: cpu(&stat).ok_or_else(form)?,
            rss: kilobytes(&status, "VmRSS:").unwrap_or(0) * 1_024,
            rss_peak: kilobytes(&status, "VmHWM:").unwrap_or(0) * 1_024,
        })
    }
}

/// Fields 14 and 15. The second, a name in parentheses, may hold anything; the last parenthesis ends it.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11);
    let [user, system]: [u64; 2] = [ticks.next()?.parse().ok()?, ticks.next()?.parse().ok()?];
    Some(Duration::from_millis((user + system) * 1_000 / TICKS))
}

/// A zombie has none.
fn kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// CPU of the calling thread.
pub(super) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// How long the calling thread has been ready to run while the processors did something else. A kernel that does not count
/// it says zero.
pub(super) fn waited_for_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = text.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(waited.unwrap_or(0))
}

/// Datagrams that the kernel dropped since these local UDP addresses were bound, as nobody had read those before them.
/// What a peer must then send again is no fault of the peer's.
pub(super) fn dropped_by_kernel(bound: &[SocketAddr]) -> u64 {
    let table = |name| std::fs::read_to_string(name).unwrap_or_default();
    let tables = [table("/proc/net/udp"), table("/proc/net/udp6")];
    let ports: Vec<u16> = bound.iter().map(SocketAddr::port).collect();
    tables.iter().flat_map(|table| drops(table)).filter(|(port, _)| ports.contains(port)).map(|(_, count)| count).sum()
}

/// The port (second column, behind the colon, in hexadecimal digits) and the drops (last column) of each socket.
fn drops(table: &str) -> impl Iterator<Item = (u16, u64)> {
    table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_whitespace();
        let (_, port) = columns.nth(1)?.rsplit_once(':')?;
        Some((u16::from_str_radix(port, 16).ok()?, columns.last()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_drops_are_in_the_last_column_of_its_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             1181: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2 0000000000000000 12\n";
        assert_eq!(drops(table).collect::<Vec<_>>(), [(5_060, 12)]);
    }

    #[test]
    fn a_process_has_used_what_proc_says() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 4 0 9 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(kilobytes("VmPeak:\t9 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some(1_234));
        assert_eq!(cpu("7 (x) S 1"), None);
    }

    #[test]
    fn our_own_is_known_and_nobodys_is_not() {
        let own = Usage::own().unwrap();
        assert!(own.rss > 1 << 20 && own.rss_peak >= own.rss, "{own:?}");
        let nobody = Usage::of(u32::MAX).unwrap_err().to_string();
        assert!(nobody.starts_with("process 4294967295: "), "{nobody}");
    }
}
