//! What the switch is told at birth.

use crate::Usage;
use crate::provision::Provisioning;
use ipnet::IpNet;
use ivr::Answer;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// A number that answers calls.
#[derive(Clone, Debug)]
pub struct Number {
    /// E.164, or any SIP user part.
    pub number: String,
    /// Whose.
    pub tenant: String,
    /// What runs when it is called.
    pub answer: Answer,
}

/// The addresses that session descriptions name.
#[derive(Clone, Debug)]
pub struct MediaAddress {
    /// Toward the world.
    pub advertised: IpAddr,
    /// Toward peers inside `local_net`.
    pub inside: IpAddr,
    /// Whose members are told the inside address.
    pub local_net: Vec<IpNet>,
}

impl MediaAddress {
    /// What a peer is told; one whose address is not known yet is told the advertised address.
    #[must_use]
    pub fn toward(&self, peer: Option<IpAddr>) -> IpAddr {
        match peer {
            Some(peer) if self.local_net.iter().any(|net| net.contains(&peer)) => self.inside,
            _ => self.advertised,
        }
    }
}

/// What the switch is told at birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// The SIP user agent's own.
    pub endpoint: sip_core::endpoint::Config,
    /// Addresses in session descriptions.
    pub media: MediaAddress,
    /// First and last RTP port.
    pub ports: (u16, u16),
    /// A call without any RTP from the far end for so long ends.
    pub media_timeout: Duration,
    /// Tenants, trunks, numbers, users and limits, as they are at first.
    pub provisioning: Provisioning,
    /// Where users were, as an earlier process has kept it ([`crate::Output::Location`]).
    pub locations: Vec<crate::registrar::KeptLocation>,
    /// What tenants have used today by now; `None`: that is not known yet, and [`crate::Command::Used`] will say it.
    pub used: Option<BTreeMap<String, Usage>>,
    /// Another process has gone before this one, and may have sent trunks as many calls as they take, up to now: none goes
    /// until a second has passed.
    pub succeeds: bool,
    /// The directory that recordings are written to.
    pub recordings: PathBuf,
    /// Where the API is reached from outside: what recordings' addresses begin with.
    pub api_url: Option<Url>,
}
