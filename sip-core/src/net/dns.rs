//! Names to addresses: SRV, then A and AAAA (RFC 3263 §4.2, RFC 2782). A failure is an empty answer; the core tries its
//! next target.

use super::{Listener, Tally, lock};
use crate::transport::Transport;
use base::Rng;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The most addresses in an answer; more are cut.
pub const MAX_ADDRESSES: usize = 16;

/// The most SRV records that are followed, the best ones first; more are passed over.
pub const MAX_SRV_TARGETS: usize = 8;

/// The most questions under way; one more is answered with nothing, at once.
pub const MAX_RESOLVES: usize = 512;

/// How long an answer may take, so that the next target is tried in time.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How much of that SRV may take: where it is not answered at all, the address is asked for, and a name of the hosts file
/// is found although no name server lives.
const SRV_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long one name server may take, and how often it is asked.
const SERVER_TIMEOUT: Duration = Duration::from_secs(1);
const SERVER_ATTEMPTS: usize = 2;

/// Where names are looked up.
#[derive(Clone, Debug, Default)]
pub enum Dns {
    /// The system's name servers and hosts file.
    #[default]
    System,
    /// These name servers, and no hosts file.
    Servers(Vec<SocketAddr>),
}

/// The resolver of one [`super::Net`].
pub(super) struct Resolver {
    /// `None`: nothing can be looked up.
    resolver: Option<TokioResolver>,
    permits: Semaphore,
    rng: Mutex<Rng>,
    udp_v4: bool,
    udp_v6: bool,
}

impl Resolver {
    pub fn new(dns: Dns, rng: Rng, listeners: &[Listener]) -> Self {
        let udp = |v6| listeners.iter().any(|l| l.transport == Transport::Udp && l.bind.is_ipv6() == v6);
        Self {
            resolver: resolver(dns),
            permits: Semaphore::new(MAX_RESOLVES),
            rng: Mutex::new(rng),
            udp_v4: udp(false),
            udp_v6: udp(true),
        }
    }

    /// The addresses of a host in the order to be tried, none where there are none.
    pub async fn resolve(&self, host: &str, port: Option<u16>, transport: Transport, tally: &Tally) -> Vec<SocketAddr> {
        let mut addresses = match self.permits.try_acquire() {
            Ok(_permit) => timeout(RESOLVE_TIMEOUT, self.look_up(host, port, transport)).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        addresses.retain(|address| self.can_reach(transport, address));
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() {
            tally.unresolved.one()
        } else {
            tally.resolved.one()
        }
        addresses
    }

    /// A datagram cannot leave from a socket of the other family.
    fn can_reach(&self, transport: Transport, address: &SocketAddr) -> bool {
        transport != Transport::Udp || if address.is_ipv6() { self.udp_v6 } else { self.udp_v4 }
    }

    async fn look_up(&self, host: &str, port: Option<u16>, transport: Transport) -> Vec<SocketAddr> {
        if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
            return vec![SocketAddr::new(ip, port.unwrap_or(transport.default_port()))];
        }
        if let Some(port) = port {
            return self.host(host, port).await;
        }
        // RFC 6761 §6.3: `localhost` is not a matter of name servers.
        let has_services = !host.eq_ignore_ascii_case("localhost");
        let services = async { if has_services { self.services(host, transport).await } else { None } };
        match timeout(SRV_TIMEOUT, services).await {
            Ok(Some(services)) => self.targets(services).await,
            Ok(None) | Err(_) => self.host(host, transport.default_port()).await,
        }
    }

    /// The SRV records in the order to be tried; `None` where there are none. A target of `.` says that the service is
    /// decidedly not there (RFC 2782): some, and empty.
    async fn services(&self, host: &str, transport: Transport) -> Option<Vec<SRV>> {
        let service = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp | Transport::Ws => "_sip._tcp",
            Transport::Tls | Transport::Wss => "_sips._tcp",
        };
        let answer = self.resolver.as_ref()?.srv_lookup(format!("{service}.{}", fqdn(host))).await.ok()?;
        let records = answer.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(service) => Some(service.clone()),
            _ => None,
        });
        let records: Vec<SRV> = records.collect();
        if records.is_empty() {
            return None;
        }
        let there = records.into_iter().filter(|service| !service.target.is_root()).collect();
        Some(in_order(there, &mut lock(&self.rng)))
    }

    async fn targets(&self, services: Vec<SRV>) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for service in services.into_iter().take(MAX_SRV_TARGETS) {
            addresses.extend(self.host(&service.target.to_utf8(), service.port).await);
            if addresses.len() >= MAX_ADDRESSES {
                break;
            }
        }
        addresses
    }

    async fn host(&self, host: &str, port: u16) -> Vec<SocketAddr> {
        let Some(resolver) = &self.resolver else { return Vec::new() };
        let Ok(found) = resolver.lookup_ip(fqdn(host)).await else { return Vec::new() };
        let mut ips: Vec<IpAddr> = found.iter().collect();
        // IPv4 first: a carrier that has both is reached over it everywhere.
        ips.sort_by_key(IpAddr::is_ipv6);
        ips.dedup();
        ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
    }
}

fn resolver(dns: Dns) -> Option<TokioResolver> {
    let mut builder = match dns {
        Dns::System => TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "no system name servers: only the hosts file is known");
            with_servers(&[])
        }),
        Dns::Servers(servers) => {
            let mut builder = with_servers(&servers);
            builder.options_mut().use_hosts_file = ResolveHosts::Never;
            builder
        }
    };
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = SERVER_TIMEOUT;
    options.attempts = SERVER_ATTEMPTS;
    builder.build().inspect_err(|error| tracing::error!(%error, "no resolver")).ok()
}

fn with_servers(servers: &[SocketAddr]) -> ResolverBuilder<TokioRuntimeProvider> {
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}

/// A name with a dot in it is complete; the system's search list is for names without.
fn fqdn(host: &str) -> String {
    if host.contains('.') && !host.ends_with('.') { format!("{host}.") } else { host.to_owned() }
}

/// By priority, and within one by weighted lot (RFC 2782).
fn in_order(mut services: Vec<SRV>, rng: &mut Rng) -> Vec<SRV> {
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
