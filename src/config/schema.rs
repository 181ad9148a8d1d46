//! What the keys mean: each section of DESIGN.md §5, read into its struct. What is impossible is said where it stands.

use super::section::{Found, Section};
use super::tree::Place;
use super::{Config, Limits, Listen, Media, Number, Registrar, Sip, Tenant, Tls};
use sip_core::auth::Algorithm;
use sip_core::transport::Transport;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Linux hands out ephemeral ports from here on; RTP below it never collides with them.
const FIRST_EPHEMERAL_PORT: u16 = 32_768;
/// A key that is to keep strangers out has at least this many characters.
const BOOTSTRAP_KEY_MIN: usize = 32;
/// More listeners than a machine has use for.
const MAX_LISTENERS: usize = 64;

/// The whole file.
pub fn config(mut root: Section) -> Config {
    let mut notes = Vec::new();
    let (http, public_url) = http(root.section("http"));
    let recordings = super::rim::recordings(root.section("recordings"));
    let egress_allow = super::rim::egress(root.section("egress"));
    let speech = super::rim::speech(root.section("speech"));
    let capture = super::rim::capture(root.section("capture"), root.section("hep"));
    let redact_numbers = log(root.section("log"));
    let bootstrap_key = api(root.section("api"));
    let database_url = database(root.section("database"));
    let otlp_url = telemetry(root.section("telemetry"));
    let redis_url = redis(root.section("redis"));
    let (journal_dir, journal_max_mb) = journal(root.section("journal"));
    let key_file = secrets(root.section("secrets"), &journal_dir);
    let tls = root.optional_section("tls").and_then(tls);
    let sip = sip(root.section("sip"), tls.is_some());
    let media = media(root.section("media"));
    let prompts_dir = prompts(root.section("prompts"));
    let limits = limits(root.section("limits"));
    let tenants = tenants(root.sections("tenant"));
    let trunks = super::trunk::trunks(root.sections("trunk"));
    let numbers = numbers(root.sections("number"), &tenants);
    let users = super::user::users(root.sections("user"), &tenants, sip.registrar);
    let rates = super::rate::rates(root.sections("rate"));
    without_effect(&mut root, &mut notes);
    root.finish();
    Config {
        http,
        public_url,
        recordings,
        egress_allow,
        speech,
        capture,
        redact_numbers,
        bootstrap_key,
        database_url,
        redis_url,
        otlp_url,
        journal_dir,
        journal_max_mb,
        key_file,
        sip,
        media,
        prompts_dir,
        tls,
        limits,
        tenants,
        trunks,
        numbers,
        users,
        rates,
        notes,
        is_bare: false,
    }
}

/// Sections of the contract that later versions fill. They are taken, and said to have no effect.
fn without_effect(root: &mut Section, notes: &mut Vec<String>) {
    if root.json("redis").is_some() {
        notes.push("[redis] is set and has no effect in this version".to_owned());
    }
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an address and a port, like \"127.0.0.1:3000\"".to_owned())
}

fn web_address(text: &str) -> Result<url::Url, String> {
    url::Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "write where the API is reached from outside, like \"https://voice.example.com\"".to_owned())
}

fn http(mut section: Section) -> (SocketAddr, Option<url::Url>) {
    let behind_proxy = section.flag("behind_proxy", false);
    let listen = section.parsed("listen", socket);
    if let Some(Found { value, place }) = &listen
        && !value.ip().is_loopback()
        && !behind_proxy
    {
        section.fault(
            place,
            format!("http.listen = \"{value}\" is open to the network without TLS; listen on 127.0.0.1, or put a proxy that speaks TLS in front and write behind_proxy = true"),
        );
    }
    let public = section.parsed("public_url", web_address);
    section.finish();
    let listen = listen.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)), |found| found.value);
    (listen, public.map(|found| found.value))
}

fn api(mut section: Section) -> Option<String> {
    let key = section.text("bootstrap_key");
    if let Some(Found { value, place }) = &key
        && value.chars().count() < BOOTSTRAP_KEY_MIN
    {
        section.fault(
            place,
            format!("api.bootstrap_key is too short to be a secret; write {BOOTSTRAP_KEY_MIN} characters or more"),
        );
    }
    section.finish();
    key.map(|found| found.value)
}

fn log(mut section: Section) -> bool {
    let redact_numbers = section.flag("redact_numbers", false);
    section.finish();
    redact_numbers
}

/// `[telemetry]`
fn telemetry(mut section: Section) -> Option<url::Url> {
    let url = section.parsed("otlp_url", api::telemetry::traces_url);
    section.finish();
    url.map(|found| found.value)
}

/// `[redis]`
fn redis(mut section: Section) -> Option<String> {
    let url = section.parsed("url", api::rate::shared_url);
    section.finish();
    url.map(|found| found.value)
}

fn database(mut section: Section) -> String {
    let url = section.parsed("url", |text| {
        let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if known { Ok(text.to_owned()) } else { Err("write \"sqlite://tandem.db\" or \"postgres://user@host/name\"") }
    });
    section.finish();
    url.map_or_else(|| "sqlite://tandem.db".to_owned(), |found| found.value)
}

fn journal(mut section: Section) -> (PathBuf, u64) {
    let dir = section.text("dir").map_or_else(|| "journal".to_owned(), |found| found.value);
    let max_mb = section.number("max_mb", 16..=1_048_576, 1024);
    section.finish();
    (PathBuf::from(dir), max_mb)
}

/// `tandem.key`, beside the journal, where none is named: what a journal and a database belong to stays together.
fn secrets(mut section: Section, journal_dir: &std::path::Path) -> PathBuf {
    let file = section.text("key_file").map(|found| PathBuf::from(found.value));
    section.finish();
    file.unwrap_or_else(|| journal_dir.with_file_name("tandem.key"))
}

fn tls(mut section: Section) -> Option<Tls> {
    let cert = section.required("cert_file", "cert.pem");
    let key = section.required("key_file", "key.pem");
    let readable = |found: Option<Found<String>>| {
        let found = found?;
        if let Err(error) = std::fs::File::open(&found.value) {
            section.fault(&found.place, format!("cannot read {}: {error}", found.value));
        }
        Some(PathBuf::from(found.value))
    };
    let tls = readable(cert).zip(readable(key));
    section.finish();
    tls.map(|(cert_file, key_file)| Tls { cert_file, key_file })
}

fn listen(text: &str) -> Result<Listen, String> {
    let example = "write it like \"udp://0.0.0.0:5060\" (udp, tcp, tls, ws or wss)";
    let (scheme, addr) = text.split_once("://").ok_or(example)?;
    let transport = match scheme {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "ws" => Transport::Ws,
        "wss" => Transport::Wss,
        _ => return Err(example.to_owned()),
    };
    Ok(Listen { transport, addr: addr.parse().map_err(|_| example)? })
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "write an IP address; a name is not resolved here".to_owned())
}

/// A network in CIDR notation, or one address.
pub fn network(text: &str) -> Result<ipnet::IpNet, String> {
    text.parse::<ipnet::IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(ipnet::IpNet::from))
        .map_err(|_| "write a network like \"10.0.0.0/8\", or one address".to_owned())
}

fn sip(mut section: Section, has_tls: bool) -> Sip {
    let before = section.faults_so_far();
    let listen = section.list("listen", listen);
    let place = section.place.clone();
    if let Some(list) = &listen
        && section.faults_so_far() == before
    {
        check_listeners(&section, &place, list, has_tls);
    }
    let advertise = section.parsed("advertise", address).map(|found| found.value);
    let local_net = section.list("local_net", network).unwrap_or_default();
    let domains = section.list("domains", |text| Ok::<_, String>(text.to_lowercase())).unwrap_or_default();
    let registrar = registrar(&mut section, listen.as_deref());
    // MD5 alone by default: a phone that knows no other gives up where it is offered another beside it (libre 2, and with
    // it baresip 1, ends with "Function not implemented"), though RFC 8760 §2.4 asks it to pick.
    let digest = section.list("digest", algorithm).unwrap_or_else(|| vec![Algorithm::Md5]);
    section.finish();
    let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5060));
    let default = || {
        vec![
            Listen { transport: Transport::Udp, addr: everywhere },
            Listen { transport: Transport::Tcp, addr: everywhere },
        ]
    };
    Sip { listen: listen.unwrap_or_else(default), advertise, local_net, domains, registrar, digest }
}

fn check_listeners(section: &Section, place: &Place, list: &[Listen], has_tls: bool) {
    if list.is_empty() || list.len() > MAX_LISTENERS {
        section.fault(place, format!("sip.listen has {} entries; write 1 to {MAX_LISTENERS}", list.len()));
    }
    if !has_tls && list.iter().any(|listen| listen.transport.is_secure()) {
        section.fault(
            place,
            "sip.listen has a tls:// or wss:// entry and there is no [tls] section; write one with cert_file and key_file",
        );
    }
    for (index, listen) in list.iter().enumerate() {
        if listen.addr.port() != 0 && list[..index].contains(listen) {
            section.fault(place, format!("sip.listen names {}://{} twice", listen.transport, listen.addr));
        }
    }
}

fn algorithm(text: &str) -> Result<Algorithm, &'static str> {
    match text.to_ascii_uppercase().as_str() {
        "MD5" => Ok(Algorithm::Md5),
        "SHA-256" => Ok(Algorithm::Sha256),
        _ => Err("write \"MD5\" or \"SHA-256\""),
    }
}

/// Whoever registers is called, and calls: anybody may only where nobody but this machine can reach us.
fn registrar(section: &mut Section, listen: Option<&[Listen]>) -> Registrar {
    let known = |text: &str| match text {
        "digest" => Ok(Registrar::Digest),
        "open" => Ok(Registrar::Open),
        _ => Err("write \"digest\", or \"open\" where every listener is on loopback"),
    };
    let Some(Found { value, place }) = section.parsed("registrar", known) else { return Registrar::Digest };
    let is_loopback = listen.is_some_and(|list| list.iter().all(|listen| listen.addr.ip().is_loopback()));
    if value == Registrar::Open && !is_loopback {
        section.fault(
            &place,
            "sip.registrar = \"open\" lets anybody register as anybody, and sip.listen is open to the network; write \"digest\" and [[user]], or listen on 127.0.0.1 alone",
        );
    }
    value
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let example = "write the first and the last port, like \"10000-31999\"";
    let (first, last) = text.split_once('-').ok_or(example)?;
    let first: u16 = first.trim().parse().map_err(|_| example)?;
    let last: u16 = last.trim().parse().map_err(|_| example)?;
    if first < 1024 {
        return Err("ports below 1024 are the system's; begin at 1024 or above".to_owned());
    }
    if last <= first {
        return Err("the last port must be above the first: each call takes a pair".to_owned());
    }
    if last >= FIRST_EPHEMERAL_PORT {
        return Err(format!("ports from {FIRST_EPHEMERAL_PORT} on are handed out by the system to anybody; end below"));
    }
    Ok((first, last))
}

fn media(mut section: Section) -> Media {
    let media = Media {
        ports: section.parsed("ports", ports).map_or((10_000, 31_999), |found| found.value),
        advertise: section.parsed("advertise", address).map(|found| found.value),
        threads: section.number("threads", 0..=256, 0) as usize,
        timeout_s: section.number("timeout_s", 5..=86_400, 60),
    };
    section.finish();
    media
}

fn prompts(mut section: Section) -> Option<PathBuf> {
    let dir = section.text("dir");
    if let Some(Found { value, place }) = &dir
        && !std::path::Path::new(value).is_dir()
    {
        section.fault(place, format!("prompts.dir = \"{value}\" is not a folder; make it, or name one that is there"));
    }
    section.finish();
    dir.map(|found| PathBuf::from(found.value))
}

fn limits(mut section: Section) -> Limits {
    let limits = Limits {
        api_requests_per_minute: section.number("api_requests_per_minute", 1..=10_000_000, 600) as u32,
        calls_per_second: section.number("calls_per_second", 1..=1_000_000, 100) as u32,
        concurrent_calls: section.number("concurrent_calls", 1..=1_000_000, 10_000) as usize,
    };
    section.finish();
    limits
}

fn tenants(sections: Vec<Section>) -> Vec<Tenant> {
    let mut tenants: Vec<Tenant> = Vec::new();
    for mut section in sections {
        let name = section.required("name", "default");
        let sip_domain = section.parsed("sip_domain", domain);
        let trunk_access = section.flag("trunk_access", true);
        let account_sid = section.parsed("account_sid", super::rim::account_sid).map(|found| found.value);
        let requests = section.optional_number("api_requests_per_minute", 1..=10_000_000).map(|n| n as u32);
        let limits = tenant_limits(&mut section);
        let auth_token = super::trunk::secret(&mut section, "auth_token", "auth_token_file");
        if let Some(Found { value: name, place }) = name {
            if tenants.iter().any(|tenant| tenant.name == name) {
                section.fault(&place, format!("there is a [[tenant]] \"{name}\" already"));
            }
            if let Some(Found { value, place }) = &sip_domain
                && tenants.iter().any(|tenant| tenant.sip_domain.as_ref() == Some(value))
            {
                section.fault(place, format!("tenant.sip_domain = \"{value}\" is another tenant's already"));
            }
            let sip_domain = sip_domain.map(|found| found.value);
            tenants.push(Tenant {
                name,
                trunk_access,
                sip_domain,
                api_requests_per_minute: requests,
                limits,
                account_sid,
                auth_token,
            });
        }
        section.finish();
    }
    if tenants.is_empty() {
        tenants.push(Tenant {
            name: "default".to_owned(),
            trunk_access: true,
            sip_domain: None,
            api_requests_per_minute: None,
            limits: switch::TenantLimits::default(),
            account_sid: None,
            auth_token: None,
        });
    }
    tenants
}

/// `limits` of a tenant: the same words as over HTTP.
fn tenant_limits(section: &mut Section) -> switch::TenantLimits {
    let Some(Found { value, place }) = section.json("limits") else { return switch::TenantLimits::default() };
    api::registry::limits(&value).unwrap_or_else(|problem| {
        section.fault(&place, format!("tenant.{problem}"));
        switch::TenantLimits::default()
    })
}

/// A host name, lower case.
fn domain(text: &str) -> Result<String, &'static str> {
    let is_name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if is_name { Ok(text.to_ascii_lowercase()) } else { Err("write a host name, like \"voice.example.com\"") }
}

fn sip_user(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-_.!~*'()&=$,;?/%".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
        return Err("write a number in E.164 (\"+18325550100\") or a SIP user part (\"menu\", \"1001\")".to_owned());
    }
    Ok(text.to_owned())
}

fn numbers(sections: Vec<Section>, tenants: &[Tenant]) -> Vec<Number> {
    let mut numbers: Vec<Number> = Vec::new();
    for mut section in sections {
        let number = match section.required("number", "+18325550100") {
            Some(found) => section.read("number", found, sip_user),
            None => None,
        };
        let tenant = tenant_of(&mut section, tenants);
        let answer = answer(&mut section);
        if let Some(Found { value: number, place }) = number {
            if numbers.iter().any(|known| known.number == number) {
                section.fault(&place, format!("there is a [[number]] \"{number}\" already"));
            }
            numbers.push(Number { number, tenant, answer });
        }
        section.finish();
    }
    numbers
}

/// `tenant`, or the first one.
pub fn tenant_of(section: &mut Section, tenants: &[Tenant]) -> String {
    let first = tenants.first().map_or_else(String::new, |tenant| tenant.name.clone());
    let Some(Found { value, place }) = section.text("tenant") else { return first };
    if !tenants.iter().any(|tenant| tenant.name == value) {
        let names: Vec<&str> = tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        section.fault(&place, format!("there is no [[tenant]] \"{value}\"; there is {}", names.join(", ")));
    }
    value
}

fn answer(section: &mut Section) -> Option<ivr::Answer> {
    let Found { value, place } = section.json("answer")?;
    match ivr::Answer::parse(&value) {
        Ok(answer) => Some(answer),
        Err(error) => {
            section.fault(&place, error.to_string());
            None
        }
    }
}
