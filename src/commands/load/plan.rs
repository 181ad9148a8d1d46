//! From the command line to a load: what cannot be done is said here, before anything is bound.

use super::args::{Bind, LoadArgs, MediaArg};
use carrier_sim::load::{DIGIT_MS, LoadConfig, Media, Numbering, Pace, Share, Source};
use carrier_sim::net::load::Setup;
use media::Prompt;
use sip_core::auth::Credentials;
use sip_core::endpoint::NextHop;
use sip_core::net::{Roots, TlsConfig};
use sip_core::transport::Transport;
use sip_core::uri::{Scheme, Uri};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long a load lasts of which nothing says so.
const USUAL_DURATION: Duration = Duration::from_secs(10);
/// Samples of the tone, a second of it, and its pitch.
const TONE_SAMPLES: usize = 8_000;
const TONE_HZ: f64 = 440.0;

/// What is wrong with the command line, whatever the target is like.
pub fn check(args: &LoadArgs, target: &str) -> Result<(), Failure> {
    agree(args)?;
    self::target(target)?;
    pace(args)?;
    numbering("--from", &args.from)?;
    args.to.as_deref().map(|to| numbering("--to", to)).transpose()?;
    credentials(args)?;
    media(args, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(())
}

/// The load that was asked for, on one target.
pub async fn plan(args: &LoadArgs, target: &str) -> Result<Setup, Failure> {
    let target = self::target(target)?;
    let pace = pace(args)?;
    let duration = match (args.duration, args.calls, pace.length()) {
        (None, None, length) => Some(length.unwrap_or(USUAL_DURATION)),
        (duration, ..) => duration,
    };
    let (next_hop, peer) = next_hop(&target).await?;
    let bind = local(args.bind, peer)?;
    let config = LoadConfig {
        from: numbering("--from", &args.from)?,
        to: args.to.as_deref().map(|to| numbering("--to", to)).transpose()?,
        credentials: credentials(args)?,
        calls: args.calls,
        duration,
        hold: args.hold.or(if args.held.is_some() { None } else { Some(Duration::ZERO) }),
        held: args.held,
        max_in_flight: args.max_in_flight,
        share: Share::WHOLE,
        ring_timeout: args.ring_timeout,
        media: media(args, bind)?,
        digits: args.digits.clone(),
        srtp: args.srtp,
        answers: args.answer,
        ..LoadConfig::new(Vec::new(), target, next_hop.clone(), pace, SocketAddr::new(bind.ip(), 0))
    };
    let shards = usize::try_from(args.shards)?;
    Ok(Setup { config, shards, transport: next_hop.transport, bind, tls: tls(args)? })
}

fn target(text: &str) -> Result<Uri, Failure> {
    let example = "write the target as sip:USER@HOST or sip:USER@HOST:PORT;transport=tcp";
    let uri = Uri::parse(text.as_bytes()).map_err(|error| format!("`{text}` is no SIP URI ({error}): {example}"))?;
    if !uri.is_sip() || uri.host().is_none() {
        return Err(format!("`{text}` is no SIP URI: {example}").into());
    }
    match uri.param("transport") {
        Some(name) if uri.transport().is_none() => Err(format!("`{text}`: no transport is called {name}").into()),
        _ => Ok(uri),
    }
}

fn pace(args: &LoadArgs) -> Result<Pace, Failure> {
    let number = |text: &str| {
        let rate = text.trim().parse::<f64>();
        rate.map_err(|_| format!("--rate: `{text}` is no number; write 200, or 100..2000, or 100,200,400"))
    };
    let needs =
        |option: &str, time: Option<Duration>| time.ok_or(format!("--rate {}: {option} says how long", args.rate));
    let pace = if let Some((from, to)) = args.rate.split_once("..") {
        Pace::ramp(number(from)?, number(to)?, needs("--ramp", args.ramp)?)
    } else if args.rate.contains(',') {
        let rates = args.rate.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
        Pace::steps(&rates, needs("--step", args.step)?)
    } else {
        Pace::even(number(&args.rate)?)
    };
    Ok(pace.map_err(|error| format!("--rate: {error}"))?)
}

fn numbering(option: &str, text: &str) -> Result<Numbering, Failure> {
    Ok(text.parse().map_err(|error| format!("{option}: {error}"))?)
}

fn credentials(args: &LoadArgs) -> Result<Option<Credentials>, Failure> {
    let Some(username) = args.username.clone() else { return Ok(None) };
    let password = match (&args.password, &args.password_file) {
        (Some(password), _) => password.clone(),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|error| format!("--password-file {}: {error}", file.display()))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        (None, None) => return Err("--username: its password is missing; add --password or --password-file".into()),
    };
    Ok(Some(Credentials { username, password: password.into(), realm: None }))
}

/// What does not go together.
fn agree(args: &LoadArgs) -> Result<(), Failure> {
    if args.duration.is_some_and(|duration| duration.is_zero()) {
        return Err("--duration: no call is due in no time".into());
    }
    if args.ramp.is_some() && !args.rate.contains("..") {
        return Err("--ramp wants two rates, as in --rate 100..2000".into());
    }
    if args.step.is_some() && !args.rate.contains(',') {
        return Err("--step wants several rates, as in --rate 100,200,400".into());
    }
    for (option, given) in [("--digits", args.digits.is_some()), ("--srtp", args.srtp)] {
        if given && args.media == MediaArg::None {
            return Err(format!("{option} wants a stream; add --media send").into());
        }
    }
    if args.answer && args.bind.is_none_or(|bind| bind.port == 0) {
        return Err("--answer: name the port that the target calls, as in --bind 127.0.0.1:5090".into());
    }
    if args.answer && args.shards > 1 {
        return Err("--answer: calls come to one port, that of the only shard; leave --shards out".into());
    }
    let Some(digits) = &args.digits else { return Ok(()) };
    if let Some(key) = digits.chars().find(|key| !matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')) {
        return Err(format!("--digits: `{key}` is no key; there are 0-9, *, # and A-D").into());
    }
    let takes = Duration::from_millis(digits.len() as u64 * 2 * u64::from(DIGIT_MS));
    let stands = args.hold.or(args.held.and(args.duration)).unwrap_or_default();
    if stands < takes {
        return Err(format!("--digits: {} keys take {takes:?}; add --hold {takes:?} or more", digits.len()).into());
    }
    Ok(())
}

/// The way to the target, its name looked up once: a load is not to be a load on the name server. Over TLS it stays a
/// name, which the certificate must carry.
async fn next_hop(target: &Uri) -> Result<(NextHop, SocketAddr), Failure> {
    let is_secure = target.scheme() == Scheme::Sips;
    let transport = match target.transport() {
        _ if is_secure => Transport::Tls,
        Some(Transport::Ws | Transport::Wss) => return Err("a load calls over udp, tcp or tls".into()),
        named => named.unwrap_or(Transport::Udp),
    };
    let host = target.host().map(ToString::to_string).unwrap_or_default();
    let bare = host.trim_matches(['[', ']']).to_owned();
    let port = target.port().unwrap_or(transport.default_port());
    let found = tokio::net::lookup_host((bare.as_str(), port)).await;
    let peer = found.map_err(|error| format!("`{bare}` has no address: {error}"))?.next();
    let peer = peer.ok_or_else(|| format!("`{bare}` has no address"))?;
    let host = if transport == Transport::Tls { bare } else { peer.ip().to_string() };
    Ok((NextHop::new(host, Some(port), transport), peer))
}

/// The address that the far end is told: what was asked for, or what the system would send from.
fn local(bind: Option<Bind>, peer: SocketAddr) -> Result<SocketAddr, Failure> {
    if let Some(Bind { ip, port }) = bind {
        if ip.is_unspecified() {
            return Err("--bind: the far end must be told where to answer; name an address".into());
        }
        if ip.is_ipv4() != peer.is_ipv4() {
            return Err(format!("--bind: {peer} cannot be reached from {ip}").into());
        }
        return Ok(SocketAddr::new(ip, port));
    }
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let seen = || -> std::io::Result<SocketAddr> {
        let socket = UdpSocket::bind(any)?;
        // Nothing is sent by this: it asks for the way.
        socket.connect(peer)?;
        socket.local_addr()
    };
    let seen = seen().map_err(|error| format!("there is no way to {peer}: {error}"))?;
    Ok(SocketAddr::new(seen.ip(), 0))
}

fn media(args: &LoadArgs, bind: SocketAddr) -> Result<Media, Failure> {
    let source = match args.media {
        MediaArg::None => return Ok(Media::Sink(SocketAddr::new(bind.ip(), 0))),
        MediaArg::Echo => Source::Echo,
        MediaArg::Send => Source::Prompt(tone()),
    };
    let ports = args.media_ports.parse().map_err(|error| format!("--media-ports: {error}"))?;
    Ok(Media::Streams { ip: bind.ip(), ports, source })
}

fn tone() -> Arc<Prompt> {
    let sample = |n: usize| ((n as f64 * TONE_HZ * std::f64::consts::TAU / 8_000.0).sin() * 8_000.0) as i16;
    Arc::new(Prompt::new("tone", (0..TONE_SAMPLES).map(sample).collect::<Vec<_>>()))
}

fn tls(args: &LoadArgs) -> Result<TlsConfig, Failure> {
    let Some(file) = &args.ca else { return Ok(TlsConfig::default()) };
    let pem = std::fs::read(file).map_err(|error| format!("--ca {}: {error}", file.display()))?;
    Ok(TlsConfig { roots: Roots::from_pem(&pem)?, ..TlsConfig::default() })
}
