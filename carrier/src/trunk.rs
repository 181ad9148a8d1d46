//! A trunk that has been checked: what its requests look like, and who is trusted over it.
//!
//! The host of a Request-URI stays the trunk's own name whatever address it resolves to: to an IP literal Twilio answers a
//! bare 403, or nothing (TWILIO.md §1.2). From and To carry neither port nor transport (RFC 3261 §19.1.1, table 1). No
//! request of ours says Require.

use crate::config::{Profile, TrunkConfig, TrunkError, TrunkName};
use crate::number::Number;
use crate::permits::Permits;
use crate::registration::Registration;
use crate::twilio::{MEDIA_RANGES, SIGNALLING_RANGES};
use base::Rng;
use ipnet::{IpNet, Ipv4Net};
use sip_core::auth::Credentials;
use sip_core::endpoint::NextHop;
use sip_core::header::NameAddr;
use sip_core::sdp::AudioCodec;
use sip_core::transport::Transport;
use sip_core::uri::{Host, Scheme, Uri};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A trunk that has been checked.
#[derive(Clone, Debug)]
pub struct Trunk {
    config: TrunkConfig,
    host: Host,
    accept_from: Arc<[IpNet]>,
    media_from: Arc<[IpNet]>,
}

/// Why a call from outside does not come in over a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Its source is not one that the trunk accepts.
    #[error("the source is not in accept_from")]
    Source,
    /// It belongs to another account with the same carrier.
    #[error("X-Twilio-AccountSid is not ours")]
    OtherAccount,
    /// It comes from ranges that a carrier's customers share, and no account is configured to tell them apart.
    #[error("account_sid is not set, and the source is shared by all customers of Twilio")]
    NoAccount,
}

impl Trunk {
    /// Checks a configuration.
    ///
    /// # Errors
    /// Whatever is wrong with it first.
    pub fn new(config: TrunkConfig) -> Result<Self, TrunkError> {
        config.check()?;
        let host = config.uri.host().cloned().ok_or(TrunkError::Uri)?;
        let accept_from = ranges(&config.accept_from, config.profile, &SIGNALLING_RANGES);
        let media_from = ranges(&config.media_from, config.profile, &MEDIA_RANGES);
        Ok(Self { config, host, accept_from, media_from })
    }

    /// Whether another trunk is the same to its registrar: then what is registered stands.
    #[must_use]
    pub fn registers_like(&self, other: &Self) -> bool {
        let of = |trunk: &Self| {
            let TrunkConfig { uri, username, password, register, register_expires_s, .. } = trunk.config.clone();
            (uri, username, password, register, register_expires_s)
        };
        of(self) == of(other)
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &TrunkName {
        &self.config.name
    }

    /// As it is configured.
    #[must_use]
    pub const fn config(&self) -> &TrunkConfig {
        &self.config
    }

    /// What is allowed and probably not meant, a sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.config.notes()
    }

    /// Where its requests go: the host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Where its requests go: the port, where one is named; without one, DNS says.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.config.uri.port()
    }

    /// Where its requests go: the transport; UDP where the URI does not say, TLS for `sips:`.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.config.uri.scheme() {
            Scheme::Sips => Transport::Tls,
            _ => self.config.uri.transport().unwrap_or(Transport::Udp),
        }
    }

    /// Whether its URI says over what its requests go.
    #[must_use]
    pub fn names_transport(&self) -> bool {
        self.config.uri.scheme() == Scheme::Sips || self.config.uri.transport().is_some()
    }

    /// Where its requests go first.
    #[must_use]
    pub fn next_hop(&self) -> NextHop {
        let hop = NextHop::new(self.host.to_string(), self.port(), self.transport());
        // A trunk whose URI names a transport is pinned to it.
        if self.names_transport() { hop } else { hop.any_transport() }
    }

    /// What answers its challenges.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        let (username, password) = self.config.username.as_deref().zip(self.config.password.as_ref())?;
        Some(Credentials { username: username.to_owned(), password: password.expose().into(), realm: None })
    }

    /// The Request-URI of a call: `sip:+E164@host;transport=tls`, the number as it wants it.
    #[must_use]
    pub fn request_uri(&self, to: &Number) -> Uri {
        self.config.uri.clone().with_user(Some(&self.config.numbers.called(to)))
    }

    /// To of a call.
    #[must_use]
    pub fn to_header(&self, to: &Number) -> NameAddr {
        NameAddr::new(self.address(&self.config.numbers.called(to)))
    }

    /// From of a call, without a tag: the caller's number as the trunk wants it, at its own host.
    #[must_use]
    pub fn from_header(&self, from: &Number) -> NameAddr {
        NameAddr::new(self.address(&self.config.numbers.caller(from)))
    }

    /// What its INVITEs carry besides, by name and value. Twilio's: P-Asserted-Identity with From's number, because it is
    /// not known which of the two it prefers (TWILIO.md §1.4). The generic profile asserts nothing (RFC 3325 §5: only to
    /// who is trusted).
    #[must_use]
    pub fn extra_headers(&self, from: &Number) -> Vec<(String, String)> {
        match self.config.profile {
            Profile::Twilio => vec![("P-Asserted-Identity".to_owned(), self.from_header(from).to_string())],
            Profile::Generic => Vec::new(),
        }
    }

    /// The codecs to offer, best first.
    #[must_use]
    pub fn offered_codecs(&self) -> &[AudioCodec] {
        self.config.offered_codecs()
    }

    /// The codecs to take from it: without `codecs` every one there is.
    #[must_use]
    pub fn accepted_codecs(&self) -> &[AudioCodec] {
        if self.config.codecs.is_empty() { &AudioCodec::ALL } else { &self.config.codecs }
    }

    /// How long it may be silent before the next target is tried.
    #[must_use]
    pub const fn try_timeout(&self) -> Duration {
        Duration::from_millis(self.config.try_timeout_ms)
    }

    /// How often it is pinged with OPTIONS.
    #[must_use]
    pub fn options_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.config.options_s)).filter(|every| !every.is_zero())
    }

    /// Its permits, none of them out.
    #[must_use]
    pub fn permits(&self) -> Permits {
        Permits::new(self.config.max_cps, self.config.max_calls)
    }

    /// Its registration, not begun; none where it does not register.
    #[must_use]
    pub fn registration(&self, rng: Rng) -> Option<Registration> {
        self.config.register.then(|| Registration::new(self.config.register_expires_s, rng))
    }

    /// The Request-URI of a REGISTER: the registrar, without a user (RFC 3261 §10.2).
    #[must_use]
    pub const fn registrar(&self) -> &Uri {
        &self.config.uri
    }

    /// To and From of a REGISTER: the address of record, `sip:username@host`. None where it has no username.
    #[must_use]
    pub fn address_of_record(&self) -> Option<NameAddr> {
        self.config.username.as_deref().map(|user| NameAddr::new(self.address(user)))
    }

    /// Whether a call from this address comes in over it; `account_sid` is its X-Twilio-AccountSid.
    ///
    /// # Errors
    /// Where it does not, why.
    pub fn admits(&self, source: IpAddr, account_sid: Option<&str>) -> Result<(), NotAdmitted> {
        if !contains(&self.accept_from, source) {
            return Err(NotAdmitted::Source);
        }
        match (self.config.profile, self.config.account_sid.as_deref()) {
            (Profile::Twilio, Some(ours)) if account_sid != Some(ours) => Err(NotAdmitted::OtherAccount),
            (Profile::Twilio, None) if is_shared(source) => Err(NotAdmitted::NoAccount),
            _ => Ok(()),
        }
    }

    /// Who may send us calls over it.
    #[must_use]
    pub fn accept_from(&self) -> &[IpNet] {
        &self.accept_from
    }

    /// Whose RTP is heard; none where anybody's may be.
    #[must_use]
    pub fn media_from(&self) -> Option<&Arc<[IpNet]>> {
        Some(&self.media_from).filter(|ranges| !ranges.is_empty())
    }

    /// Whether RTP may be exchanged with this address, before there is an ACK too.
    #[must_use]
    pub fn hears(&self, source: IpAddr) -> bool {
        self.media_from().is_none_or(|ranges| contains(ranges, source))
    }

    fn address(&self, user: &str) -> Uri {
        match self.config.uri.scheme() {
            Scheme::Sips => Uri::sips(Some(user), self.host.clone(), None),
            _ => Uri::sip(Some(user), self.host.clone(), None),
        }
    }
}

/// What is given, or what the profile brings.
fn ranges(given: &[IpNet], profile: Profile, twilio: &[Ipv4Net]) -> Arc<[IpNet]> {
    match profile {
        _ if !given.is_empty() => given.into(),
        Profile::Twilio => twilio.iter().copied().map(IpNet::V4).collect(),
        Profile::Generic => Arc::from([]),
    }
}

/// An IPv4 address that came in over an IPv6 socket is the IPv4 address.
fn contains(ranges: &[IpNet], source: IpAddr) -> bool {
    let source = source.to_canonical();
    ranges.iter().any(|range| range.contains(&source))
}

fn is_shared(source: IpAddr) -> bool {
    matches!(source.to_canonical(), IpAddr::V4(ip) if SIGNALLING_RANGES.iter().any(|range| range.contains(&ip)))
}
