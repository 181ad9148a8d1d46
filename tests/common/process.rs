//! A process that a test started: ended and reaped by that test, its output kept, and shown where the test failed.

use super::{secs, until};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// As many of the last lines of a process are shown when its test fails.
const SHOWN_LINES: usize = 80;

/// A running process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts a program in `dir`; what it prints goes to `dir/NAME.log`.
    pub fn start(name: &str, dir: &Path, program: impl AsRef<OsStr>, prepare: impl FnOnce(&mut Command)) -> Self {
        let output = dir.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(&output).unwrap();
        let mut command = Command::new(&program);
        command.current_dir(dir).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        prepare(&mut command);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start {:?}: {error} (tests/run installs the peers)", program.as_ref())
        });
        Self { name: name.to_owned(), child, output, status: None }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has printed.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Types a line to it, where it was started with a pipe for its standard input.
    pub fn types(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("a process that is typed to");
        writeln!(input, "{line}").unwrap();
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().unwrap();
        }
        self.status
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(&what, deadline, || self.ended())
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// SIGHUP: `tandem serve` reads its configuration again.
    pub fn reload(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    /// SIGKILL, and reaped.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.signal(rustix::process::Signal::KILL);
            self.end(secs(10));
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// How many UDP sockets it has open (proc(5): `/proc/PID/fd`, `/proc/net/udp`).
    pub fn udp_sockets(&self) -> usize {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        let links = fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        let own: Vec<String> = links
            .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        ["udp", "udp6"].iter().flat_map(|table| udp_inodes(table)).filter(|inode| own.contains(inode)).count()
    }
}

/// The inode of each UDP socket of the machine (proc(5): the tenth column).
fn udp_inodes(table: &str) -> Vec<String> {
    let table = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
    table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(9)).map(str::to_owned).collect()
}

/// Whether anybody holds this UDP port of 127.0.0.1 or of every address; looks without touching it.
pub fn udp_port_is_bound(port: u16) -> bool {
    is_bound("udp", port, None)
}

/// As [`udp_port_is_bound`], for TCP.
pub fn tcp_port_is_bound(port: u16) -> bool {
    // LISTEN in the kernel's numbers: a connection of an earlier owner of the port may still linger.
    is_bound("tcp", port, Some("0A"))
}

fn is_bound(table: &str, port: u16, wanted: Option<&str>) -> bool {
    let ends = format!(":{port:04X}");
    let table = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next().unwrap_or_default(), fields.nth(1));
        local.ends_with(&ends) && wanted.is_none_or(|wanted| state == Some(wanted))
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // The child is ours and not reaped yet, so its id is its own.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            eprintln!("--- {} printed, at the end:\n{shown}\n---", self.name);
        }
    }
}
