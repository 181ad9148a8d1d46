//! `tandem serve` as a process: a folder, a configuration with ports of its own, the API.

use super::http::Http;
use super::ports::Ports;
use super::process::Process;
use super::{secs, until};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The key that the configuration names.
pub const KEY: &str = "the-bootstrap-key-of-the-tests-0123456789";
/// A number that the configuration owns: the caller of every call.
pub const OWNED: &str = "+18325550100";
/// Whom they call.
pub const CALLED: &str = "+18325550199";
/// The tests look at calls more often than a client may by default.
const NOT_LIMITED: &str = "api_requests_per_minute = 1000000";
/// From start to ready. The journal and the database are made on a disk, and a disk that others fill can stand still.
const READY_WITHIN: Duration = secs(90);

/// A configuration and its folder; starts the switch, also more than once.
#[derive(Debug)]
pub struct Setup {
    dir: tempfile::TempDir,
    ports: Ports,
    /// Its HTTP port.
    pub http_port: u16,
    /// Its SIP port, for UDP and TCP.
    pub sip_port: u16,
    rtp: (u16, u16),
    /// Its TLS port, where it has one.
    pub tls_port: Option<u16>,
    limits: String,
    sections: String,
}

impl Setup {
    /// A switch with room for some twenty calls.
    pub fn new() -> Self {
        Self::with_rtp(Ports::lease(), 60)
    }

    /// A switch with so many RTP ports, out of this lease.
    pub fn with_rtp(mut ports: Ports, rtp_ports: u16) -> Self {
        let (http_port, sip_port) = (ports.port(), ports.port());
        let rtp = ports.range(rtp_ports);
        let dir = tempfile::tempdir().unwrap();
        let (limits, sections) = (NOT_LIMITED.to_owned(), String::new());
        Self { dir, ports, http_port, sip_port, rtp, tls_port: None, limits, sections }
    }

    /// Listens for TLS too, with a certificate of its own making for 127.0.0.1.
    pub fn tls(mut self) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        std::fs::write(self.dir().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(self.dir().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        self.tls_port = Some(self.ports.port());
        self.section("[tls]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"")
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where a peer of this switch lives: its folder and its ports.
    pub fn room(&mut self) -> (&Path, &mut Ports) {
        (self.dir.path(), &mut self.ports)
    }

    /// Adds a `[[trunk]]` to 127.0.0.1: its name, profile, port, and further keys.
    pub fn trunk(mut self, name: &str, profile: &str, port: u16, keys: &str) -> Self {
        let limits = if keys.contains("max_cps") { "" } else { "max_cps = 100\nmax_calls = 100\n" };
        self.sections += &format!(
            "\n[[trunk]]\nname = \"{name}\"\nprofile = \"{profile}\"\nuri = \"sip:127.0.0.1:{port}\"\n\
             {limits}accept_from = [\"127.0.0.1/32\"]\nmedia_from = [\"127.0.0.1/32\"]\n{keys}\n"
        );
        self
    }

    /// Writes something else in the sections so far.
    pub fn replaced(mut self, old: &str, new: &str) -> Self {
        assert!(self.sections.contains(old), "no {old} in {}", self.sections);
        self.sections = self.sections.replace(old, new);
        self
    }

    /// Adds any section.
    pub fn section(mut self, toml: &str) -> Self {
        self.sections += &format!("\n{toml}\n");
        self
    }

    /// What `[limits]` says.
    pub fn limits(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.limits);
        self
    }

    /// The whole file.
    pub fn text(&self) -> String {
        let Self { http_port, sip_port, rtp: (first, last), limits, sections, .. } = self;
        let tls = self.tls_port.map(|port| format!(", \"tls://127.0.0.1:{port}\"")).unwrap_or_default();
        format!(
            "[http]\nlisten = \"127.0.0.1:{http_port}\"\n\n\
             [api]\nbootstrap_key = \"{KEY}\"\n\n\
             [database]\nurl = \"sqlite://tandem.db\"\n\n\
             [journal]\ndir = \"journal\"\n\n\
             [sip]\nlisten = [\"udp://127.0.0.1:{sip_port}\", \"tcp://127.0.0.1:{sip_port}\"{tls}]\n\n\
             [media]\nports = \"{first}-{last}\"\n\n\
             [limits]\n{limits}\n\n\
             [[tenant]]\nname = \"default\"\n\n\
             [[number]]\nnumber = \"{OWNED}\"\ntenant = \"default\"\nanswer = {{ play = \"welcome\" }}\n{sections}"
        )
    }

    /// Writes the file and starts `tandem serve`, without waiting for anything.
    pub fn spawn(&self) -> Process {
        std::fs::write(self.dir().join("tandem.toml"), self.text()).unwrap();
        self.serve()
    }

    /// Starts `tandem serve` with the file as it lies there.
    pub fn serve(&self) -> Process {
        tandem("tandem", self.dir(), |command| {
            command.args(["serve", "--config", "tandem.toml"]);
        })
    }

    /// Starts the switch, and waits until it is ready.
    #[track_caller]
    pub fn start(&self) -> Switch {
        let mut switch =
            Switch { process: self.spawn(), http: Http::new(self.http_port, KEY), sip_port: self.sip_port };
        until("GET /readyz 200", READY_WITHIN, || {
            assert_eq!(switch.process.ended(), None, "tandem serve ended at its start");
            switch.http.try_get("/readyz").ok().filter(|reply| reply.status == 200)
        });
        switch
    }
}

impl Drop for Setup {
    /// A test that fails leaves its folder to be looked at.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("--- the configuration, the journal and every log are in {}", self.dir().display());
        }
    }
}

/// The program under test; `TANDEM` names another one in its place.
pub fn program() -> std::ffi::OsString {
    std::env::var_os("TANDEM").unwrap_or_else(|| env!("CARGO_BIN_EXE_tandem").into())
}

/// Runs it in a folder.
pub fn tandem(name: &str, dir: &Path, prepare: impl FnOnce(&mut Command)) -> Process {
    Process::start(name, dir, program(), |command| {
        // The environment is a part of the configuration.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TANDEM_")) {
            command.env_remove(name);
        }
        prepare(command);
    })
}

/// A running switch.
#[derive(Debug)]
pub struct Switch {
    /// The process.
    pub process: Process,
    /// Its API, with the key of the configuration.
    pub http: Http,
    /// Where it speaks SIP.
    pub sip_port: u16,
}

/// Marks in its log that no test lets pass: a panic, or a fault that the switch itself calls an error.
const FAULTS: [&str; 2] = ["panicked at", "ERROR"];

impl Drop for Switch {
    fn drop(&mut self) {
        let output = self.process.output();
        let faults: Vec<&str> = output.lines().filter(|line| FAULTS.iter().any(|fault| line.contains(fault))).collect();
        assert!(std::thread::panicking() || faults.is_empty(), "the switch logged:\n{}", faults.join("\n"));
    }
}
