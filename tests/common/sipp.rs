//! SIPp 3.6 (Debian's `sip-tester`) with the scenarios of `tests/sipp/`, and every message that it saw.

use super::ports::Ports;
use super::process::{Process, tcp_port_is_bound, udp_port_is_bound};
use super::switch::Setup;
use super::{in_package, secs, until};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Until SIPp has bound its port.
const BOUND_WITHIN: Duration = secs(10);
/// A scenario that is stuck ends itself after so long, in SIPp's own notation.
const SCENARIO_LIMIT: &str = "150s";

/// A SIPp that runs one scenario, once.
#[derive(Debug)]
pub struct Sipp {
    process: Process,
    /// Its SIP port, UDP.
    pub port: u16,
    messages: PathBuf,
    errors: PathBuf,
}

/// A SIP message that SIPp received or sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// True where SIPp received it.
    pub received: bool,
    /// The whole of it, lines ended by `\n`.
    pub text: String,
}

impl Message {
    /// The start line.
    pub fn start_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Whether it is a request with this method, from the switch.
    pub fn is_request(&self, method: &str) -> bool {
        self.received && self.start_line().strip_prefix(method).is_some_and(|rest| rest.starts_with(' '))
    }

    /// The values of a header, in order; only the full name, and unfolded, as the switch writes them.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.text.lines().take_while(|line| !line.is_empty());
        let pairs = head.filter_map(|line| line.split_once(':'));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The one value of a header.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let values = self.headers(name);
        assert_eq!(values.len(), 1, "{name} in\n{}", self.text);
        values[0]
    }

    /// A parameter of a credentials header, without its quotes.
    pub fn credential(&self, name: &str) -> Option<&str> {
        let value = self.header("Proxy-Authorization").strip_prefix("Digest")?;
        let pairs = value.split(',').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"')).next()
    }
}

impl Sipp {
    /// Starts a scenario as a server, for one call, and waits until its port is bound. `keys` are the scenario's own
    /// `[name]`s; they are filled in by the test, as SIPp would not take its own keys in a status line.
    #[track_caller]
    pub fn serve(scenario: &str, setup: &mut Setup, keys: &[(&str, &str)]) -> Self {
        let (dir, ports) = setup.room();
        let port = ports.port();
        let sipp = Self::run(scenario, dir, port, ports, keys, &[]);
        until("SIPp listens", BOUND_WITHIN, || udp_port_is_bound(port).then_some(()));
        sipp
    }

    /// As [`Sipp::serve`], over TCP.
    #[track_caller]
    pub fn serve_tcp(scenario: &str, setup: &mut Setup, keys: &[(&str, &str)]) -> Self {
        let (dir, ports) = setup.room();
        let port = ports.port();
        let sipp = Self::run(scenario, dir, port, ports, keys, &["-t", "t1"]);
        until("SIPp listens", BOUND_WITHIN, || tcp_port_is_bound(port).then_some(()));
        sipp
    }

    /// Starts a scenario as a caller of `service` at the switch.
    pub fn call(scenario: &str, setup: &mut Setup, service: &str, keys: &[(&str, &str)]) -> Self {
        let to = setup.sip_port;
        let (dir, ports) = setup.room();
        let port = ports.port();
        let target = format!("127.0.0.1:{to}");
        Self::run(scenario, dir, port, ports, keys, &["-s", service, &target])
    }

    /// As [`Sipp::call`], from this port, by way of the one who listens on `via`.
    pub fn call_from(
        scenario: &str,
        setup: &mut Setup,
        port: u16,
        via: u16,
        service: &str,
        keys: &[(&str, &str)],
    ) -> Self {
        let (dir, ports) = setup.room();
        let target = format!("127.0.0.1:{via}");
        Self::run(scenario, dir, port, ports, keys, &["-s", service, &target])
    }

    fn run(scenario: &str, dir: &Path, port: u16, ports: &mut Ports, keys: &[(&str, &str)], more: &[&str]) -> Self {
        let name = format!("sipp-{scenario}-{port}");
        let messages = dir.join(format!("{name}.messages"));
        let errors = dir.join(format!("{name}.errors"));
        let scenario = filled(scenario, keys);
        let file = dir.join(format!("{name}.xml"));
        std::fs::write(&file, scenario).unwrap();
        let process = Process::start(&name, dir, "sipp", |command| {
            command.env("TERM", "xterm").arg("-sf").arg(&file);
            command.args(["-i", "127.0.0.1", "-nostdin", "-timeout", SCENARIO_LIMIT, "-timeout_error"]);
            command.args(["-p", &port.to_string(), "-cp", &ports.port().to_string(), "-mp", &ports.port().to_string()]);
            command.args(["-m", "1", "-trace_msg", "-message_overwrite", "true", "-message_file"]);
            command.arg(&messages).args(["-trace_err", "-error_overwrite", "true", "-error_file"]).arg(&errors);
            command.args(more);
        });
        Self { process, port, messages, errors }
    }

    /// Waits until every call of the scenario has gone as it is written; then all messages.
    #[track_caller]
    pub fn passes(&mut self, deadline: Duration) -> Vec<Message> {
        let status = self.process.end(deadline);
        let messages = self.messages();
        assert!(status.success(), "SIPp: {status}");
        messages
    }

    /// All messages so far.
    pub fn messages(&self) -> Vec<Message> {
        let trace = std::fs::read(&self.messages).unwrap_or_default();
        String::from_utf8_lossy(&trace).replace('\r', "").split(TRACE_RULE).filter_map(traced).collect()
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- SIPp's errors and messages:\n{}\n{}---", self.errors(), transcript(&self.messages()));
        }
    }
}

/// A scenario with its keys filled in.
fn filled(scenario: &str, keys: &[(&str, &str)]) -> String {
    let file = in_package(&format!("tests/sipp/{scenario}.xml"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    keys.iter().fold(text, |text, (key, value)| text.replace(&format!("[{key}]"), value))
}

/// What SIPp's trace draws above each message, before the date.
const TRACE_RULE: &str = "----------------------------------------------- ";

/// `DATE\nUDP message received [N] bytes :\n\nTEXT`, or `… sent (N bytes):`.
fn traced(entry: &str) -> Option<Message> {
    let (_, rest) = entry.split_once('\n')?;
    let (what, text) = rest.split_once("\n\n")?;
    Some(Message { received: what.contains("received"), text: text.to_owned() })
}

/// The messages, one below the other.
pub fn transcript(messages: &[Message]) -> String {
    let arrow = |message: &Message| if message.received { "-> SIPp" } else { "<- SIPp" };
    messages.iter().map(|message| format!("{}\n{}\n", arrow(message), message.text)).collect()
}

/// The requests of one method that the switch sent, retransmissions left out.
pub fn requests(messages: &[Message], method: &str) -> Vec<Message> {
    let mut requests: Vec<Message> = Vec::new();
    for message in messages.iter().filter(|message| message.is_request(method)) {
        if !requests.contains(message) {
            requests.push(message.clone());
        }
    }
    requests
}
