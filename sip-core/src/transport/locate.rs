//! Locating a server (RFC 3263 §4): which records are to be asked for, and in which order what they name is tried. DNS
//! answers come in as [`Records`]; nothing here asks anybody.

use super::Transport;
use base::Rng;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The most addresses that one name is followed to; more are cut, the last ones first.
pub const MAX_CANDIDATES: usize = 16;

/// A NAPTR record (RFC 3403 §4, RFC 3263 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// The lower is processed first.
    pub order: u16,
    /// Of one order, the lower comes first.
    pub preference: u16,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`.
    pub service: String,
    /// The name to ask for SRV records.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The lower is tried first.
    pub priority: u16,
    /// The share among equals.
    pub weight: u16,
    /// Where.
    pub port: u16,
    /// The host; empty for `.`: the service is decidedly not there.
    pub target: String,
}

/// What was found for one name. Names are lower case, without a dot at the end ([`plain`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// NAPTR of the name itself.
    pub naptr: Vec<Naptr>,
    /// SRV, by the name asked for.
    pub services: BTreeMap<String, Vec<Service>>,
    /// A and AAAA, by host, in the order to be tried.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
}

/// A name as [`Records`] are keyed.
#[must_use]
pub fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The SRV names to be asked for, the preferred one first: what NAPTR says, else what our transports are called (§4.1). A
/// transport that is named is the only one.
#[must_use]
pub fn services(host: &str, transport: Option<Transport>, naptr: &[Naptr]) -> Vec<(Transport, String)> {
    let conventional = |transport: Transport| {
        let service = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp | Transport::Ws => "_sip._tcp",
            Transport::Tls | Transport::Wss => "_sips._tcp",
        };
        (transport, format!("{service}.{}", plain(host)))
    };
    if let Some(transport) = transport {
        return vec![conventional(transport)];
    }
    let mut known: Vec<(&Naptr, Transport)> =
        naptr.iter().filter_map(|record| Some((record, transport_of(&record.service)?))).collect();
    known.sort_by_key(|(record, _)| (record.order, record.preference));
    if known.is_empty() {
        return [Transport::Udp, Transport::Tcp].map(conventional).into();
    }
    known.into_iter().map(|(record, transport)| (transport, plain(&record.replacement))).collect()
}

/// §4.1, RFC 3263 §8: the services that we speak.
fn transport_of(service: &str) -> Option<Transport> {
    let known = [("SIP+D2U", Transport::Udp), ("SIP+D2T", Transport::Tcp), ("SIPS+D2T", Transport::Tls)];
    known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(service)).map(|(_, transport)| transport)
}

/// Where to try, in order (§4.2, §4.3). Weights are drawn from `rng`.
#[must_use]
pub fn candidates(
    host: &str,
    port: Option<u16>,
    transport: Option<Transport>,
    records: &Records,
    rng: &mut Rng,
) -> Vec<(Transport, SocketAddr)> {
    // §4.1: a port is named, or nothing else is known: UDP.
    let usual = transport.unwrap_or(Transport::Udp);
    let at = |transport: Transport, host: &str, port: u16| {
        let ips = records.hosts.get(&plain(host)).cloned().unwrap_or_default();
        ips.into_iter().map(move |ip| (transport, SocketAddr::new(ip, port)))
    };
    if let Some(port) = port {
        return at(usual, host, port).take(MAX_CANDIDATES).collect();
    }
    let mut found = Vec::new();
    let mut has_services = false;
    for (transport, name) in services(host, transport, &records.naptr) {
        let Some(services) = records.services.get(&name).filter(|services| !services.is_empty()) else { continue };
        has_services = true;
        let there = services.iter().filter(|service| !service.target.is_empty()).cloned().collect();
        for service in in_order(there, rng) {
            found.extend(at(transport, &service.target, service.port));
        }
    }
    if !has_services {
        found.extend(at(usual, host, usual.default_port()));
    }
    found.truncate(MAX_CANDIDATES);
    found
}

/// By priority, and within one by weighted lot (RFC 2782).
fn in_order(mut services: Vec<Service>, rng: &mut Rng) -> Vec<Service> {
    services.sort_by_key(|service| (service.priority, service.weight));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(priority) = services.first().map(|service| service.priority) {
        let equals = services.iter().take_while(|service| service.priority == priority);
        let total: u64 = equals.map(|service| u64::from(service.weight)).sum();
        let drawn = rng.below(total + 1);
        let mut sum = 0;
        let chosen = services.iter().position(|service| {
            sum += u64::from(service.weight);
            sum >= drawn
        });
        ordered.push(services.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
        Naptr { order, preference, service: service.into(), replacement: replacement.into() }
    }

    fn service(priority: u16, weight: u16, port: u16, target: &str) -> Service {
        Service { priority, weight, port, target: target.into() }
    }

    fn records(naptr: Vec<Naptr>, services: &[(&str, Vec<Service>)], hosts: &[(&str, &[&str])]) -> Records {
        let ips = |ips: &[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        Records {
            naptr,
            services: services.iter().map(|(name, list)| ((*name).to_owned(), list.clone())).collect(),
            hosts: hosts.iter().map(|(name, list)| ((*name).to_owned(), ips(list))).collect(),
        }
    }

    fn tried(port: Option<u16>, transport: Option<Transport>, records: &Records) -> Vec<String> {
        let found = candidates("Trunk.example.", port, transport, records, &mut Rng::from_u64(1));
        found.into_iter().map(|(transport, addr)| format!("{transport} {addr}")).collect()
    }

    #[test]
    fn naptr_chooses_the_transport_and_what_we_do_not_speak_is_passed_over() {
        let records = records(
            vec![
                naptr(50, 50, "SIPS+D2T", "_sips._tcp.trunk.example."),
                naptr(10, 1, "SIP+D2S", "_sip._sctp.trunk.example."),
                naptr(90, 50, "sip+d2t", "_sip._tcp.TRUNK.example."),
                naptr(90, 60, "SIP+D2U", "udp.elsewhere.example."),
            ],
            &[
                ("_sips._tcp.trunk.example", vec![service(1, 1, 5061, "a.example")]),
                ("_sip._tcp.trunk.example", vec![service(1, 1, 5060, "a.example")]),
                ("udp.elsewhere.example", vec![service(1, 1, 5070, "A.example.")]),
            ],
            &[("a.example", &["192.0.2.1"])],
        );
        assert_eq!(tried(None, None, &records), ["TLS 192.0.2.1:5061", "TCP 192.0.2.1:5060", "UDP 192.0.2.1:5070"]);
        assert_eq!(tried(None, Some(Transport::Tcp), &records), ["TCP 192.0.2.1:5060"], "a transport that is named");
    }

    #[test]
    fn without_naptr_our_transports_are_asked_for_and_without_srv_the_host() {
        let udp_and_tcp = records(
            Vec::new(),
            &[
                ("_sip._tcp.trunk.example", vec![service(1, 1, 5062, "t.example")]),
                ("_sip._udp.trunk.example", vec![service(1, 1, 5061, "u.example")]),
            ],
            &[("t.example", &["192.0.2.2"]), ("u.example", &["192.0.2.1"]), ("trunk.example", &["192.0.2.9"])],
        );
        assert_eq!(tried(None, None, &udp_and_tcp), ["UDP 192.0.2.1:5061", "TCP 192.0.2.2:5062"]);
        let host = records(Vec::new(), &[], &[("trunk.example", &["192.0.2.9", "2001:db8::9"])]);
        assert_eq!(tried(None, None, &host), ["UDP 192.0.2.9:5060", "UDP [2001:db8::9]:5060"]);
        assert_eq!(tried(None, Some(Transport::Tls), &host)[0], "TLS 192.0.2.9:5061");
        assert_eq!(tried(Some(5099), None, &udp_and_tcp), ["UDP 192.0.2.9:5099"], "a port: no SRV");
    }

    #[test]
    fn a_service_that_is_decidedly_not_there_is_not_looked_for_elsewhere() {
        let records = records(
            Vec::new(),
            &[("_sip._udp.trunk.example", vec![service(0, 0, 0, "")])],
            &[("trunk.example", &["192.0.2.9"])],
        );
        assert!(tried(None, Some(Transport::Udp), &records).is_empty());
    }

    #[test]
    fn priorities_come_first_and_weights_share_among_equals() {
        let hosts: &[(&str, &[&str])] =
            &[("a", &["192.0.2.1"]), ("b", &["192.0.2.2"]), ("c", &["192.0.2.3"]), ("d", &["192.0.2.4"])];
        let records = records(
            Vec::new(),
            &[(
                "_sip._udp.trunk.example",
                vec![service(20, 1, 1, "d"), service(10, 60, 1, "a"), service(10, 30, 1, "b"), service(10, 0, 1, "c")],
            )],
            hosts,
        );
        let mut rng = Rng::from_u64(7);
        let mut firsts = BTreeMap::new();
        for _ in 0..9_000 {
            let found = candidates("trunk.example", None, Some(Transport::Udp), &records, &mut rng);
            assert_eq!((found.len(), found[3].1.ip().to_string()), (4, "192.0.2.4".to_owned()));
            *firsts.entry(found[0].1.ip().to_string()).or_insert(0) += 1;
        }
        let share = |ip: &str| firsts.get(ip).copied().unwrap_or(0);
        assert!((5_700..6_300).contains(&share("192.0.2.1")), "{firsts:?}");
        assert!((2_700..3_300).contains(&share("192.0.2.2")), "{firsts:?}");
        assert!((1..300).contains(&share("192.0.2.3")), "a weight of 0 has a small chance (RFC 2782): {firsts:?}");
    }

    #[test]
    fn a_long_answer_is_cut() {
        let ips: Vec<String> = (0..40).map(|n| format!("192.0.2.{n}")).collect();
        let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
        assert_eq!(
            tried(Some(5060), None, &records(Vec::new(), &[], &[("trunk.example", &ips)])).len(),
            MAX_CANDIDATES
        );
    }
}
