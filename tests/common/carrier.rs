//! `tandem carrier` as a process: the loopback carrier, with a script.

use super::ports::Ports;
use super::process::{Process, udp_port_is_bound};
use super::switch::tandem;
use super::{secs, until};
use std::path::Path;

/// A running carrier.
#[derive(Debug)]
pub struct Carrier {
    /// The process.
    pub process: Process,
    /// Its SIP port, UDP.
    pub port: u16,
}

impl Carrier {
    /// Starts it with the script that calls meet where no number says otherwise, and room for `calls` calls.
    #[track_caller]
    pub fn start(dir: &Path, ports: &mut Ports, calls: u16, script: &str, more: &[&str]) -> Self {
        let port = ports.port();
        let (first, last) = ports.range(2 * calls);
        let process = tandem("carrier", dir, |command| {
            command.args(["carrier", "--listen", &format!("127.0.0.1:{port}"), "--ports", &format!("{first}-{last}")]);
            command.args(["--script", script, "--json"]).args(more);
        });
        until("tandem carrier listens", secs(20), || udp_port_is_bound(port).then_some(()));
        Self { process, port }
    }
}
