//! Where we may go: public addresses, and the networks that `[egress] allow` names (FAULTS.md 30). Pure.
//!
//! What is asked is the address that is about to be connected to, never a name: a name may mean another address each
//! time it is asked for.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where requests that a caller's document, a tenant's flow or a client of the API has named may go.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allow: Vec<IpNet>,
}

impl Policy {
    /// Public addresses, and those of `allow`.
    #[must_use]
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Everywhere: for what the operator himself has named.
    #[must_use]
    pub fn everywhere() -> Self {
        Self { allow: vec![IpNet::V4(Default::default()), IpNet::V6(Default::default())] }
    }

    /// Why `address` may not be connected to; `None` where it may.
    #[must_use]
    pub fn refuses(&self, address: IpAddr) -> Option<&'static str> {
        let address = address.to_canonical();
        if self.allow.iter().any(|net| net.contains(&address)) {
            return None;
        }
        match address {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }
}

/// Networks of IPv4 that are nobody's on the internet (RFC 6890): address, length, what it is.
const V4: [([u8; 4], u8, &str); 15] = [
    ([0, 0, 0, 0], 8, "an unspecified address"),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "a carrier's private address"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    ([169, 254, 0, 0], 16, "a link-local address, where clouds keep their metadata"),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "a reserved address"),
    ([192, 0, 2, 0], 24, "an address for documentation"),
    ([192, 88, 99, 0], 24, "a reserved address"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([198, 18, 0, 0], 15, "an address for benchmarks"),
    ([198, 51, 100, 0], 24, "an address for documentation"),
    ([203, 0, 113, 0], 24, "an address for documentation"),
    ([224, 0, 0, 0], 4, "a multicast address"),
    ([240, 0, 0, 0], 4, "a reserved address"),
];

fn of_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |net: [u8; 4], length: u8| (u32::from(address) ^ u32::from_be_bytes(net)) >> (32 - length) == 0;
    V4.iter().find(|(net, length, _)| within(*net, *length)).map(|(_, _, what)| *what)
}

fn of_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [a, b, c, d, ..] = address.segments();
    match (a, b) {
        _ if address.is_unspecified() => Some("an unspecified address"),
        _ if address.is_loopback() => Some("a loopback address"),
        // NAT64: an address of IPv4 in the last 32 bits.
        (0x64, 0xff9b) if (c, d) == (0, 0) => of_v4(last(address)),
        (0xfe80..=0xfebf, _) => Some("a link-local address"),
        (0xfc00..=0xfdff, _) => Some("a private address"),
        (0xff00..=0xffff, _) => Some("a multicast address"),
        // Teredo, 6to4: tunnels whose far end anybody may say.
        (0x2001, 0) | (0x2002, _) => Some("the address of a tunnel"),
        (0x2001, 0x0db8) => Some("an address for documentation"),
        (0x2001, 0x0001..=0x01ff) => Some("a reserved address"),
        (0x2000..=0x3fff, _) => None,
        _ => Some("a reserved address"),
    }
}

fn last(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(policy: &Policy, text: &str) -> bool {
        policy.refuses(text.parse().unwrap()).is_some()
    }

    #[test]
    fn what_is_not_on_the_internet_is_refused_in_every_form() {
        let policy = Policy::new(Vec::new());
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "2002:7f00:1::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
        ] {
            assert!(refused(&policy, address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2a00:1450::1",
        ] {
            assert!(!refused(&policy, address), "{address}");
        }
    }

    #[test]
    fn a_network_that_is_named_is_allowed_and_nothing_beside_it() {
        let policy = Policy::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "fd12::1"] {
            assert!(!refused(&policy, address), "{address}");
        }
        for address in ["::1", "10.0.0.1", "169.254.169.254", "fc00::1"] {
            assert!(refused(&policy, address), "{address}");
        }
    }
}
