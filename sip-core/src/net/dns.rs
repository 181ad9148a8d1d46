//! Names to records: NAPTR, SRV, A and AAAA (RFC 3263 §4), asked for and handed to the core, which puts them in order. A
//! failure is an empty answer; the core tries its next target.

use super::Tally;
use crate::transport::locate::{self, Naptr, Service, plain};
use crate::transport::{Records, Transport};
use futures_util::future::join_all;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The most hosts that SRV records lead to, the best ones first; more are passed over.
pub const MAX_SRV_TARGETS: usize = 8;

/// The most NAPTR records that are read, and the most SRV names that are asked for.
pub const MAX_SERVICES: usize = 8;

/// The most questions under way; one more is answered with nothing, at once.
pub const MAX_RESOLVES: usize = 512;

/// How long an answer may take, so that the next target is tried in time.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How much of that NAPTR and SRV may take: where they are not answered at all, the address is asked for, and a name of the hosts file
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
}

impl Resolver {
    pub fn new(dns: Dns) -> Self {
        Self { resolver: resolver(dns), permits: Semaphore::new(MAX_RESOLVES) }
    }

    /// What there is of a host; nothing where there is nothing, or nobody says.
    pub async fn resolve(&self, host: &str, port: Option<u16>, transport: Option<Transport>, tally: &Tally) -> Records {
        let records = match self.permits.try_acquire() {
            Ok(_permit) => timeout(RESOLVE_TIMEOUT, self.look_up(host, port, transport)).await.unwrap_or_default(),
            Err(_) => Records::default(),
        };
        let is_found = records.hosts.values().any(|ips| !ips.is_empty());
        if is_found {
            tally.resolved.one()
        } else {
            tally.unresolved.one()
        }
        records
    }

    async fn look_up(&self, host: &str, port: Option<u16>, transport: Option<Transport>) -> Records {
        let mut records = Records::default();
        if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
            records.hosts.insert(plain(host), vec![ip]);
            return records;
        }
        // RFC 6761 §6.3: `localhost` is not a matter of name servers.
        if port.is_none() && !host.eq_ignore_ascii_case("localhost") {
            let found = timeout(SRV_TIMEOUT, self.services(host, transport)).await.unwrap_or_default();
            (records.naptr, records.services) = found;
        }
        let mut hosts: Vec<String> = records.services.values().flat_map(|services| best_of(services)).collect();
        if records.services.is_empty() {
            hosts.push(plain(host));
        }
        hosts.sort_unstable();
        hosts.dedup();
        let found = join_all(hosts.into_iter().take(MAX_SRV_TARGETS).map(|host| self.host(host))).await;
        records.hosts.extend(found);
        records
    }

    /// NAPTR where the transport is open, and the SRV records of each service that comes into question (RFC 3263 §4.1).
    async fn services(&self, host: &str, transport: Option<Transport>) -> (Vec<Naptr>, BTreeMap<String, Vec<Service>>) {
        let naptr = if transport.is_none() { self.naptr(host).await } else { Vec::new() };
        let names = locate::services(host, transport, &naptr).into_iter().take(MAX_SERVICES);
        let found = join_all(names.map(|(_, name)| self.service(name))).await;
        (naptr, found.into_iter().flatten().collect())
    }

    async fn naptr(&self, host: &str) -> Vec<Naptr> {
        let Some(resolver) = &self.resolver else { return Vec::new() };
        let Ok(answer) = resolver.lookup(fqdn(host), RecordType::NAPTR).await else { return Vec::new() };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let record = |data: &RData| match data {
            // RFC 3263 §4.1: the flag that says that SRV is next.
            RData::NAPTR(naptr) if naptr.flags.eq_ignore_ascii_case(b"s") => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                service: text(&naptr.services),
                replacement: plain(&naptr.replacement.to_utf8()),
            }),
            _ => None,
        };
        answer.answers().iter().filter_map(|answer| record(&answer.data)).take(MAX_SERVICES).collect()
    }

    /// The SRV records of one name; none where there are none.
    async fn service(&self, name: String) -> Option<(String, Vec<Service>)> {
        let answer = self.resolver.as_ref()?.srv_lookup(fqdn(&name)).await.ok()?;
        let record = |data: &RData| match data {
            RData::SRV(srv) => Some(Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: if srv.target.is_root() { String::new() } else { plain(&srv.target.to_utf8()) },
            }),
            _ => None,
        };
        let services: Vec<Service> = answer.answers().iter().filter_map(|answer| record(&answer.data)).collect();
        (!services.is_empty()).then_some((name, services))
    }

    async fn host(&self, host: String) -> (String, Vec<IpAddr>) {
        let Some(resolver) = &self.resolver else { return (host, Vec::new()) };
        let found = resolver.lookup_ip(fqdn(&host)).await;
        let mut ips: Vec<IpAddr> = found.map(|found| found.iter().collect()).unwrap_or_default();
        // IPv4 first: a carrier that has both is reached over it everywhere.
        ips.sort_by_key(IpAddr::is_ipv6);
        ips.dedup();
        (host, ips)
    }
}

/// The hosts of the services that come first.
fn best_of(services: &[Service]) -> Vec<String> {
    let mut services: Vec<&Service> = services.iter().filter(|service| !service.target.is_empty()).collect();
    services.sort_by_key(|service| service.priority);
    services.into_iter().take(MAX_SRV_TARGETS).map(|service| service.target.clone()).collect()
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
