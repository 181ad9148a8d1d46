//! Whether a device is behind a NAT: it names an address that its packets do not come from (RFC 3581 §1; no RFC says what
//! to make of such a Contact, and every switch that phones register at makes this of it).

use super::Transport;
use crate::header::Via;
use crate::uri::{Host, Uri};
use std::net::{IpAddr, SocketAddr};

/// True where a Contact over UDP names an address that its own packets do not come from, and nothing says that another
/// device is meant: it is where the sender believes to be (its Via says the same), or an address that nobody outside of
/// the sender's network can reach. Whoever is meant by it is then reached where the packets come from.
#[must_use]
pub fn is_behind_nat(contact: &Uri, via: &Via, source: SocketAddr) -> bool {
    let Some(ip) = contact.host().and_then(Host::ip) else { return false };
    let port = contact.port().unwrap_or(Transport::Udp.default_port());
    if SocketAddr::new(ip.to_canonical(), port) == SocketAddr::new(source.ip().to_canonical(), source.port()) {
        return false;
    }
    let says_the_same = via.host.ip() == Some(ip) && via.port_or_default() == port;
    says_the_same || (is_private(ip) && !is_private(source.ip()))
}

/// An address that means nothing, or something else, to the rest of the world.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(contact: &str, sent_by: &str, source: &str) -> bool {
        let via = Via::parse(format!("SIP/2.0/UDP {sent_by};branch=z9hG4bKx").as_bytes()).unwrap();
        is_behind_nat(&Uri::parse(contact.as_bytes()).unwrap(), &via, source.parse().unwrap())
    }

    #[test]
    fn a_device_that_believes_to_be_elsewhere_is_behind_a_nat() {
        assert!(behind("sip:a@10.0.0.5", "10.0.0.5", "203.0.113.7:31000"));
        assert!(behind("sip:a@10.0.0.5:5062", "10.0.0.5:5062", "203.0.113.7:5062"));
        assert!(behind("sip:a@203.0.113.7", "203.0.113.7", "203.0.113.7:31000"), "another port than it knows of");
        assert!(behind("sip:a@192.168.1.9:1234", "203.0.113.7", "203.0.113.7:5060"), "nobody reaches that");
    }

    #[test]
    fn a_device_that_is_where_it_says_or_speaks_for_another_is_not() {
        assert!(!behind("sip:a@192.0.2.9", "192.0.2.9", "192.0.2.9:5060"));
        assert!(!behind("sip:a@198.51.100.4:5070", "192.0.2.9", "192.0.2.9:5060"));
        assert!(!behind("sip:a@phone.example.com", "10.0.0.5", "203.0.113.7:5060"));
        assert!(!behind("sip:a@10.0.0.9", "10.0.0.5", "10.0.0.5:5060"));
    }
}
