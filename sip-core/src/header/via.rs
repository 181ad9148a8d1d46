//! Via (RFC 3261 §18.2.1, §20.42; RFC 3581 for `rport`).

use super::Params;
use super::scan::{Scan, is_lws};
use crate::message::ParseError;
use crate::transport::Transport;
use crate::uri::Host;
use std::fmt;
use std::net::IpAddr;

/// What every branch made by an RFC 3261 element begins with (§8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One hop that a request has come through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The transport as it was written: `UDP`, `TCP`, or one that this switch does not speak.
    pub transport: String,
    /// Where the hop says it is to be reached.
    pub host: Host,
    /// At which port; the transport's default where none is named.
    pub port: Option<u16>,
    /// All parameters, `branch`, `received` and `rport` included.
    pub params: Params,
}

impl Via {
    /// A Via of our own; `rport` asks the peer to answer to the port it saw (RFC 3581 §3).
    #[must_use]
    pub fn new(transport: Transport, host: Host, port: Option<u16>, branch: &str) -> Self {
        let params = Params::new().with("rport", None).with("branch", Some(branch));
        Self { transport: transport.as_str().to_owned(), host, port, params }
    }

    /// The branch, where there is one.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// True where the branch identifies a transaction by itself (RFC 3261 §17.2.3): the magic cookie and something after it.
    #[must_use]
    pub fn is_rfc3261(&self) -> bool {
        self.branch().and_then(|branch| branch.get(..MAGIC_COOKIE.len())).is_some_and(|head| head == MAGIC_COOKIE)
            && self.branch().is_some_and(|branch| branch.len() > MAGIC_COOKIE.len())
    }

    /// The address that the next hop saw this message come from, with or without brackets (RFC 5118 §4.5).
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).parse().ok()
    }

    /// `rport`: nothing where it is absent, `Some(None)` where it is asked for, the port where it is filled in.
    #[must_use]
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|port| port.parse().ok())
    }

    /// The transport, where this switch speaks it.
    #[must_use]
    pub fn known_transport(&self) -> Option<Transport> {
        Transport::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(&self.transport))
    }

    /// The port that is meant: the one named, or the default of the transport (5060 for one that is not known).
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or_else(|| self.known_transport().map_or(5060, Transport::default_port))
    }

    /// What it shows before its parameters.
    pub(crate) fn without_params(&self) -> impl fmt::Display {
        std::fmt::from_fn(move |f| {
            f.write_str("SIP/2.0/")?;
            f.write_str(&self.transport)?;
            f.write_str(" ")?;
            write!(f, "{}", self.host)?;
            self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
        })
    }

    /// Reads one value: white space may stand around every separator (RFC 4475 §3.1.1.1).
    ///
    /// # Errors
    /// Where it is not `SIP/2.0/transport host[:port]` with well-formed parameters.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let mut scan = Scan::new(value);
        scan.lws();
        let name = scan.token("SIP")?;
        let slash = scan.separator(b'/');
        let version = scan.token("2.0")?;
        if !name.eq_ignore_ascii_case(b"SIP") || version != b"2.0" || !slash || !scan.separator(b'/') {
            return Err(ParseError::syntax("SIP/2.0/"));
        }
        let transport = String::from_utf8_lossy(scan.token("a transport")?).into_owned();
        if !scan.lws() {
            return Err(ParseError::syntax("a host"));
        }
        let host = Host::parse(read_host(&mut scan))?;
        let port = if scan.separator(b':') { Some(read_port(&mut scan)?) } else { None };
        Ok(Self { transport, host, port, params: Params::read(scan)? })
    }
}

fn read_host<'a>(scan: &mut Scan<'a>) -> &'a [u8] {
    let start = *scan;
    if scan.eat(b'[') {
        let inner = scan.take_while(|b| b != b']');
        let closed = scan.eat(b']');
        return start.rest().get(..inner.len() + 1 + usize::from(closed)).unwrap_or_default();
    }
    scan.take_while(|b| !is_lws(b) && !matches!(b, b':' | b';' | b','))
}

fn read_port(scan: &mut Scan<'_>) -> Result<u16, ParseError> {
    crate::uri::port(scan.take_while(|b| b.is_ascii_digit()))
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.without_params(), self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_stands_anywhere_between_the_parts() {
        let via = Via::parse(b"SIP  / 2.0  / TCP     spindle.example.com   : 5070 ; branch  =   z9hG4bK9ikj8").unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/TCP spindle.example.com:5070;branch=z9hG4bK9ikj8");
        assert!(via.is_rfc3261());
    }

    #[test]
    fn addresses_and_unknown_transports_are_read() {
        let via =
            Via::parse(b"SIP/2.0/SCTP [2001:db8::9:1]:6050;received=[2001:db8::1];rport=12;branch=z9hG4bK").unwrap();
        assert_eq!(via.host, Host::V6("2001:db8::9:1".parse().unwrap()));
        assert_eq!((via.port, via.known_transport()), (Some(6050), None));
        assert_eq!((via.received(), via.rport()), ("2001:db8::1".parse().ok(), Some(Some(12))));
        assert!(!via.is_rfc3261(), "the cookie alone names no transaction");
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for bad in [
            "SIP/2.0/UDP 192.0.2.15;;",
            "SIP/7.0/UDP host",
            "SIP/2.0 host",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP host:99999",
            "SIP/2.0/UDP host:",
            "SIP/2.0/UDP 2001:db8::1",
            "SIP/2.0/UDP [2001:db8::1",
            "SIP/2.0/UDP a b",
            "HTTP/2.0/UDP host",
        ] {
            assert!(Via::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
