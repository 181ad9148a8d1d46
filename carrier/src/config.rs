//! A trunk as the configuration names it. [`Trunk::new`](crate::Trunk::new) checks it as a whole.

use crate::permits::MAX_CPS;
use crate::rewrite::{Rewrite, RewriteError};
use crate::route::{RouteConfig, RouteError};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use sip_core::auth::Secret;
use sip_core::sdp::AudioCodec;
use sip_core::transport::Transport;
use sip_core::uri::{Host, Scheme, Uri};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Octets of an `inbound_username` at most.
const MAX_USERNAME: usize = 128;

/// Characters in a trunk's name.
const MAX_NAME: usize = 64;

/// What a carrier is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Twilio Elastic SIP Trunking (TWILIO.md §1).
    Twilio,
    /// Any other carrier, by the RFCs.
    Generic,
}

/// The name of a trunk: 1 to 64 of A-Z a-z 0-9 `_` `-` `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TrunkName(String);

impl TrunkName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrunkName {
    type Err = TrunkError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if (1..=MAX_NAME).contains(&name.len()) && name.chars().all(fits) {
            return Ok(Self(name.to_owned()));
        }
        Err(TrunkError::Name)
    }
}

impl fmt::Display for TrunkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TrunkName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A trunk as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkConfig {
    /// Its name.
    pub name: TrunkName,
    /// What its carrier is like.
    pub profile: Profile,
    /// Where its requests go, and the host of its Request-URIs: `sip:example.pstn.twilio.com;transport=tls`.
    pub uri: Uri,
    /// The user of its digest credentials.
    pub username: Option<String>,
    /// Their password.
    pub password: Option<Secret>,
    /// Our account with Twilio, `AC` and 32 hex digits: what inbound calls must carry.
    pub account_sid: Option<String>,
    /// Calls a second that it takes, 1 to [`MAX_CPS`].
    pub max_cps: u32,
    /// Calls at once that it takes, at least 1.
    pub max_calls: u32,
    /// Milliseconds without even a provisional response after which the next target is tried, 500 to 32,000 (Timer B).
    pub try_timeout_ms: u64,
    /// Seconds between two OPTIONS; 0: none. Twilio blocks who asks more often than every 10 to 15 s.
    pub options_s: u64,
    /// Whether to register with it (RFC 3261 §10).
    pub register: bool,
    /// For how long, in seconds: 60 to 86,400.
    pub register_expires_s: u32,
    /// Who may send us calls over it. Empty: the profile's own ranges, which the generic profile has none of.
    pub accept_from: Vec<IpNet>,
    /// What proves that a call from any other address is its carrier's.
    pub inbound: Option<Inbound>,
    /// Whose RTP is heard. Empty: the profile's own ranges, and anybody's with the generic profile.
    pub media_from: Vec<IpNet>,
    /// Whether its media is SRTP.
    pub srtp: bool,
    /// Whether it gets the `Identity` that a bridged caller came with (RFC 8224): its carrier verifies it, or passes it on.
    pub pass_identity: bool,
    /// Its codecs, the best first. Empty: G.711 is offered, and whatever we speak is taken.
    pub codecs: Vec<AudioCodec>,
    /// What it is chosen by.
    pub route: RouteConfig,
    /// How it writes numbers.
    pub numbers: Rewrite,
}

/// What a carrier answers our challenge of its INVITE with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The user of its digest credentials: 1 to 128 characters, none of them a control character.
    pub username: String,
    /// Their password.
    pub password: Secret,
}

impl TrunkConfig {
    /// A trunk with everything as it is where nothing is said.
    #[must_use]
    pub fn new(name: TrunkName, profile: Profile, uri: Uri) -> Self {
        Self {
            name,
            profile,
            uri,
            username: None,
            password: None,
            account_sid: None,
            // Twilio's own default (TWILIO.md §1.7).
            max_cps: if profile == Profile::Twilio { 1 } else { 10 },
            max_calls: 100,
            try_timeout_ms: 4_000,
            options_s: 0,
            register: false,
            register_expires_s: 600,
            accept_from: Vec::new(),
            inbound: None,
            media_from: Vec::new(),
            srtp: false,
            pass_identity: false,
            codecs: Vec::new(),
            route: RouteConfig::default(),
            numbers: Rewrite::default(),
        }
    }

    /// Whether a call that asks for `name` may go over it. `is_trunk`: there is a trunk of that name, and so no group is
    /// meant.
    #[must_use]
    pub fn answers_to(&self, name: &str, is_trunk: bool) -> bool {
        let group = || self.route.group.as_ref().is_some_and(|group| group.as_str() == name);
        if is_trunk { self.name.as_str() == name } else { group() }
    }

    /// The codecs to offer, best first: termination picks the first that it supports (TWILIO.md §1.6). Without `codecs`
    /// what every carrier takes.
    #[must_use]
    pub fn offered_codecs(&self) -> &[AudioCodec] {
        if self.codecs.is_empty() { &AudioCodec::G711 } else { &self.codecs }
    }

    /// What is wrong with it, first of all.
    pub(crate) fn check(&self) -> Result<(), TrunkError> {
        self.check_uri()?;
        self.check_credentials()?;
        self.route.check()?;
        self.numbers.check()?;
        let slowest = if self.profile == Profile::Twilio { 10 } else { 1 };
        within("max_cps", self.max_cps.into(), 1..=MAX_CPS.into())?;
        within("max_calls", self.max_calls.into(), 1..=u32::MAX.into())?;
        within("try_timeout_ms", self.try_timeout_ms, 500..=32_000)?;
        within("register_expires_s", self.register_expires_s.into(), 60..=86_400)?;
        if self.options_s != 0 {
            within("options_s", self.options_s, slowest..=86_400)?;
        }
        Ok(())
    }

    fn check_uri(&self) -> Result<(), TrunkError> {
        let uri = &self.uri;
        if !uri.is_sip() || uri.user().is_some() || uri.has_headers() || uri.host().is_none() {
            return Err(TrunkError::Uri);
        }
        if uri.param("transport").is_some() && uri.transport().is_none() {
            return Err(TrunkError::Transport);
        }
        Ok(())
    }

    fn check_credentials(&self) -> Result<(), TrunkError> {
        match (&self.username, &self.password) {
            (Some(_), None) => return Err(TrunkError::NoPassword),
            (None, Some(_)) => return Err(TrunkError::NoUsername),
            (None, None) if self.register => return Err(TrunkError::RegisterWithoutCredentials),
            _ => {}
        }
        let is_name = |name: &str| (1..=MAX_USERNAME).contains(&name.len()) && !name.chars().any(char::is_control);
        if self.inbound.as_ref().is_some_and(|inbound| !is_name(&inbound.username)) {
            return Err(TrunkError::InboundUsername);
        }
        if self.register && self.profile == Profile::Twilio {
            return Err(TrunkError::TwilioHasNoRegistrar);
        }
        let is_sid = |sid: &String| {
            sid.strip_prefix("AC").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        if self.account_sid.as_ref().is_some_and(|sid| !is_sid(sid)) { Err(TrunkError::AccountSid) } else { Ok(()) }
    }

    /// What is allowed and probably not meant, in words for `tandem check`.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.profile == Profile::Twilio {
            self.note_twilio(&mut notes);
        }
        if self.srtp && !self.is_tls() {
            notes.push("srtp: without ;transport=tls in the uri the keys travel in the clear".to_owned());
        }
        notes
    }

    fn is_tls(&self) -> bool {
        self.uri.scheme() == Scheme::Sips || self.uri.transport() == Some(Transport::Tls)
    }

    fn note_twilio(&self, notes: &mut Vec<String>) {
        let is_trunk = |name: &str| name.contains(".pstn.") && name.ends_with(".twilio.com");
        if !matches!(self.uri.host(), Some(Host::Name(name)) if is_trunk(&name.as_str().to_ascii_lowercase())) {
            notes.push(
                "uri: Twilio takes calls only for {name}.pstn.twilio.com or {name}.pstn.{edge}.twilio.com".to_owned(),
            );
        }
        if self.username.is_none() {
            notes.push("username: without credentials Twilio knows us by our address alone".to_owned());
        }
        if self.account_sid.is_none() {
            notes.push(
                "account_sid: not set, so calls from Twilio's ranges, which all its customers share, are refused"
                    .to_owned(),
            );
        }
    }
}

fn within(key: &'static str, found: u64, range: RangeInclusive<u64>) -> Result<(), TrunkError> {
    if range.contains(&found) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(TrunkError::OutOfRange { key, least, most, found })
}

/// Why a trunk cannot be as it is configured, in words that say what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrunkError {
    /// Of `name`.
    #[error("a trunk's name has 1 to {MAX_NAME} characters of A-Z a-z 0-9 _ - .")]
    Name,
    /// Of `uri`.
    #[error(
        "a trunk's uri is sip: or sips: and a host, without a user and without ?headers, as in \"sip:example.pstn.twilio.com;transport=tls\""
    )]
    Uri,
    /// Of `uri`.
    #[error("transport= is udp, tcp or tls")]
    Transport,
    /// Of `password`.
    #[error("a username needs a password: write password or password_file")]
    NoPassword,
    /// Of `username`.
    #[error("a password needs a username")]
    NoUsername,
    /// Of `inbound_username`.
    #[error("an inbound_username has 1 to {MAX_USERNAME} characters, none of them a control character")]
    InboundUsername,
    /// Of `register`.
    #[error("to register, a trunk needs username and password")]
    RegisterWithoutCredentials,
    /// Of `register`.
    #[error(
        "Twilio's trunks have no registrar, they authenticate each INVITE: remove register, or set profile = \"generic\" for a SIP Domain"
    )]
    TwilioHasNoRegistrar,
    /// Of `account_sid`.
    #[error("an account sid is AC and 32 hexadecimal digits, from Twilio's console")]
    AccountSid,
    /// Of what it is chosen by.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Of how it writes numbers.
    #[error(transparent)]
    Numbers(#[from] RewriteError),
    /// A number beyond its limits.
    #[error("from {least} to {most}, found {found}")]
    OutOfRange {
        /// Of which key.
        key: &'static str,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed.
        most: u64,
        /// What stands there.
        found: u64,
    },
}

impl TrunkError {
    /// The key of the configuration that is at fault.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Uri | Self::Transport => "uri",
            Self::NoPassword => "password",
            Self::NoUsername => "username",
            Self::InboundUsername => "inbound_username",
            Self::RegisterWithoutCredentials | Self::TwilioHasNoRegistrar => "register",
            Self::AccountSid => "account_sid",
            Self::Route(error) => error.key(),
            Self::Numbers(error) => error.key(),
            Self::OutOfRange { key, .. } => key,
        }
    }
}
