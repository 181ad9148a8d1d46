//! Configuration: one TOML file, every key also as `TANDEM__SECTION__KEY` (DESIGN.md §5). All of it is read and checked
//! before anything is bound or dialled, and all mistakes are said at once, each with its file and line.

mod rate;
mod rim;
mod schema;
mod section;
mod tree;
mod trunk;
mod user;

pub use tree::Fault;

use section::{Faults, Section};
use sip_core::auth::Algorithm;
use sip_core::transport::Transport;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// A listener of `sip.listen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Its transport.
    pub transport: Transport,
    /// What to bind.
    pub addr: SocketAddr,
}

/// `[sip]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sip {
    /// What to listen on, in order.
    pub listen: Vec<Listen>,
    /// Our public address.
    pub advertise: Option<IpAddr>,
    /// Networks whose members are told our local address.
    pub local_net: Vec<ipnet::IpNet>,
    /// Names that are us.
    pub domains: Vec<String>,
    /// Who may register.
    pub registrar: Registrar,
    /// What passwords of users are proved by, the preferred one first.
    pub digest: Vec<Algorithm>,
}

/// `sip.registrar`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registrar {
    /// Users, with their passwords.
    Digest,
    /// Anybody, as anybody: a laboratory on loopback.
    Open,
}

/// `[media]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// First and last RTP port.
    pub ports: (u16, u16),
    /// Our public address for RTP.
    pub advertise: Option<IpAddr>,
    /// Shards; 0: one a core.
    pub threads: usize,
    /// A call without any RTP for so many seconds ends.
    pub timeout_s: u64,
}

/// `[tls]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// PEM, leaf first.
    pub cert_file: PathBuf,
    /// PEM.
    pub key_file: PathBuf,
}

/// `[limits]`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests a key may make.
    pub api_requests_per_minute: u32,
    /// INVITEs we send, over all trunks.
    pub calls_per_second: u32,
    /// Live calls, the queued ones included.
    pub concurrent_calls: usize,
}

/// `[[tenant]]`.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Whether it may call out over trunks.
    pub trunk_access: bool,
    /// The domain under which its users are meant.
    pub sip_domain: Option<String>,
    /// Requests a minute of all its keys together, in place of `limits.api_requests_per_minute` a key.
    pub api_requests_per_minute: Option<u32>,
    /// `AC…`: what its programs' requests call it.
    pub account_sid: Option<String>,
    /// How much of everything it may have.
    pub limits: switch::TenantLimits,
    /// What its programs' requests are signed with.
    pub auth_token: Option<carrier::Secret>,
}

/// `[recordings]`
#[derive(Clone, Debug, PartialEq)]
pub struct Recordings {
    /// Where they are.
    pub dir: PathBuf,
    /// How long each is kept.
    pub keep_days: u64,
}

/// `[speech]`
#[derive(Clone, Debug, PartialEq)]
pub struct Speech {
    /// Who speaks; none: espeak-ng.
    pub endpoint: Option<SpeechEndpoint>,
    /// Who understands what callers say.
    pub recogniser: Option<Recogniser>,
    /// Where speech is kept over a restart, and how many megabytes of it.
    pub cache: Option<(PathBuf, u64)>,
}

/// A speech endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeechEndpoint {
    /// The whole URL.
    pub url: url::Url,
    /// Its model.
    pub model: String,
    /// Its voice, where a program names none.
    pub voice: String,
    /// Its key.
    pub key: Option<carrier::Secret>,
}

/// A recogniser.
#[derive(Clone, Debug, PartialEq)]
pub struct Recogniser {
    /// The whole URL.
    pub url: url::Url,
    /// Its model.
    pub model: String,
    /// Its key.
    pub key: Option<carrier::Secret>,
}

/// `[[user]]`.
#[derive(Clone, Debug)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Whose.
    pub tenant: String,
    /// What it proves itself by; none only where the registrar is open.
    pub password: Option<carrier::Secret>,
}

/// `[[number]]`.
#[derive(Clone, Debug)]
pub struct Number {
    /// E.164, or any SIP user part.
    pub number: String,
    /// Whose.
    pub tenant: String,
    /// What answers when it is called.
    pub answer: Option<ivr::Answer>,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// `http.listen`.
    pub http: SocketAddr,
    /// `http.public_url`: where the API is reached from outside.
    pub public_url: Option<url::Url>,
    /// `[recordings]`.
    pub recordings: Recordings,
    /// `egress.allow`: networks that may be reached beside the internet.
    pub egress_allow: Vec<ipnet::IpNet>,
    /// `[speech]`.
    pub speech: Speech,
    /// `[capture]` and `[hep]`.
    pub capture: api::capture::CaptureConfig,
    /// `log.redact_numbers`: whether telephone numbers are unreadable in logs.
    pub redact_numbers: bool,
    /// `api.bootstrap_key`.
    pub bootstrap_key: Option<String>,
    /// `telemetry.otlp_url`, with the path that takes traces.
    pub otlp_url: Option<url::Url>,
    /// `redis.url`: where API rates are shared with other processes.
    pub redis_url: Option<String>,
    /// `database.url`.
    pub database_url: String,
    /// `journal.dir`.
    pub journal_dir: PathBuf,
    /// `journal.max_mb`.
    pub journal_max_mb: u64,
    /// `secrets.key_file`.
    pub key_file: PathBuf,
    /// `[sip]`.
    pub sip: Sip,
    /// `[media]`.
    pub media: Media,
    /// `prompts.dir`, where one is named.
    pub prompts_dir: Option<PathBuf>,
    /// `[tls]`.
    pub tls: Option<Tls>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[[tenant]]`; one called `default` where none is named.
    pub tenants: Vec<Tenant>,
    /// `[[trunk]]`, in the order in which they are tried.
    pub trunks: Vec<carrier::TrunkConfig>,
    /// `[[number]]`.
    pub numbers: Vec<Number>,
    /// `[[user]]`.
    pub users: Vec<User>,
    /// `[[rate]]`.
    pub rates: carrier::Deck,
    /// What is set and has no effect in this version.
    pub notes: Vec<String>,
    /// Not one key is in the file: only the environment speaks.
    pub is_bare: bool,
}

impl Config {
    /// Where the API is reached: what is configured, or what it listens on.
    pub fn api_url(&self) -> Option<url::Url> {
        self.public_url.clone().or_else(|| url::Url::parse(&format!("http://{}", self.http)).ok())
    }
}

impl Config {
    /// The sections that another configuration says otherwise and that only a restart brings into force.
    pub fn want_restart(&self, other: &Self) -> Vec<&'static str> {
        let changed = [
            ("http", (self.http, &self.public_url) != (other.http, &other.public_url)),
            ("recordings", self.recordings != other.recordings),
            ("egress", self.egress_allow != other.egress_allow),
            ("speech", self.speech != other.speech),
            ("capture", self.capture.keep != other.capture.keep),
            ("hep", (&self.capture.collector, self.capture.agent) != (&other.capture.collector, other.capture.agent)),
            ("api", self.bootstrap_key != other.bootstrap_key),
            ("telemetry", self.otlp_url != other.otlp_url),
            ("redis", self.redis_url != other.redis_url),
            ("database", self.database_url != other.database_url),
            ("journal", (&self.journal_dir, self.journal_max_mb) != (&other.journal_dir, other.journal_max_mb)),
            ("secrets", self.key_file != other.key_file),
            ("sip", self.sip != other.sip),
            ("media", self.media != other.media),
            ("prompts", self.prompts_dir != other.prompts_dir),
            ("tls", self.tls != other.tls),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(section, _)| section).collect()
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {path}: {error}")]
    Unreadable {
        /// Its path.
        path: String,
        /// The system's word.
        error: std::io::Error,
    },
    /// Its mistakes, one a line.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
}

/// Reads the file and the environment.
pub fn load(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: name.clone(), error })?;
    parse(&name, &text, environment)
}

/// As [`load`], from a text.
pub fn parse(
    name: &str,
    text: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let one = |fault| ConfigError::Faults(vec![fault]);
    let mut root = tree::parse(name, text).map_err(one)?;
    let is_bare = matches!(&root.value, tree::Value::Table(table) if table.is_empty());
    tree::overlay(&mut root, environment).map_err(one)?;
    let faults = Faults::new(name);
    let config = Config { is_bare, ..schema::config(Section::root(root, &faults)) };
    let list = faults.take();
    if list.is_empty() { Ok(config) } else { Err(ConfigError::Faults(list)) }
}

#[cfg(test)]
mod tests;
