//! What `tandem load` is told on its command line.

use carrier_sim::script::parse_time;
use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// `tandem load`.
#[derive(Debug, Args)]
#[command(after_help = "\
The loop is open: call n starts when it is due, whatever became of those before it, and every latency counts from then.

Exit codes: 0 done, and no threshold crossed; 1 it could not run; 2 the command line is wrong; 3 a threshold was crossed.

  tandem load sip:echo@127.0.0.1:5060 --rate 500 --duration 30s --pid $(pidof tandem)
  tandem load sip:1000@10.0.0.7 --to '+1555%7n' --rate 100..2000 --ramp 60s --max-failures 0.1% --max-p99 50ms
  tandem load 'sip:menu@pbx.example.com;transport=tcp' --held 2000 --rate 100 --duration 5m --media send
  tandem load sip:echo@10.0.0.7 --held 500 --rate 50 --duration 1m --media send --digits 1234 --html run.html
  tandem load --against sip:b@10.0.0.7:5060 --against sip:b@10.0.0.8:5060 --bind 10.0.0.2:5090 --answer --media send

With --media send every packet carries the time at which it left. What comes back, from an echo or over a bridge to
--answer, tells how long it was away; lateness is that of each stream against its own grid of 20 ms.")]
pub struct LoadArgs {
    /// Whom to call: `sip:USER@HOST[:PORT][;transport=udp|tcp|tls]`
    #[arg(required_unless_present = "against", conflicts_with = "against")]
    pub target: Option<String>,
    /// The same load on each of these in turn, and the ratios; a name may stand before it: NAME=URI
    #[arg(long, value_name = "[NAME=]URI")]
    pub against: Vec<Named>,
    /// Calls a second: 200, a ramp like 100..2000 (with --ramp), or steps like 100,200,400 (with --step)
    #[arg(long, default_value = "10", value_name = "RATE")]
    pub rate: String,
    /// How long a ramp takes
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub ramp: Option<Duration>,
    /// How long each step takes
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub step: Option<Duration>,
    /// How many calls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub calls: Option<u64>,
    /// How long calls are started; without it and --calls: as long as the ramp or the steps take, else 10s
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub duration: Option<Duration>,
    /// How long a call stands after its answer; 0s: it is hung up at once. With --held: until the end
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub hold: Option<Duration>,
    /// Keep so many calls up, set up at --rate and replaced where they end
    #[arg(long, value_name = "N", conflicts_with = "calls", value_parser = clap::value_parser!(u64).range(1..))]
    pub held: Option<u64>,
    /// The caller: a user part; %n is the call's number, %6n the same in at least six digits
    #[arg(long, default_value = "load", value_name = "USER")]
    pub from: String,
    /// Who is called, in place of the target's user; %n as in --from
    #[arg(long, value_name = "USER")]
    pub to: Option<String>,
    /// Answers a challenge (digest)
    #[arg(long, visible_alias = "user", value_name = "NAME")]
    pub username: Option<String>,
    /// The password of --username
    #[arg(long, requires = "username", env = "TANDEM_LOAD_PASSWORD", hide_env_values = true, value_name = "TEXT")]
    pub password: Option<String>,
    /// A file whose first line is the password of --username
    #[arg(long, requires = "username", conflicts_with = "password", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// What a call sends, PCMU at 20 ms: nothing, a tone, or what it hears
    #[arg(long, value_enum, default_value_t = MediaArg::None)]
    pub media: MediaArg,
    /// Keys to press once a call is answered (RFC 4733); those heard, on any leg, are counted
    #[arg(long, value_name = "KEYS")]
    pub digits: Option<String>,
    /// Offer SRTP (keys in the description, RFC 4568), and nothing else
    #[arg(long)]
    pub srtp: bool,
    /// Answer calls that come to --bind: where the target bridges to us, each call has both its legs here
    #[arg(long, requires = "bind")]
    pub answer: bool,
    /// RTP ports, where there is media
    #[arg(long, default_value = "40000-60999", value_name = "FROM-TO")]
    pub media_ports: String,
    /// Threads, each with sockets of its own
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub shards: u64,
    /// The local address, and the port of the first shard; without it what the system would take toward the target
    #[arg(long, value_name = "IP[:PORT]")]
    pub bind: Option<Bind>,
    /// How long an INVITE may ring
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = parse_time)]
    pub ring_timeout: Duration,
    /// Calls at once; one that is due beyond it is not started, and counted as a failure
    #[arg(long, default_value_t = carrier_sim::load::MAX_IN_FLIGHT, value_name = "N")]
    pub max_in_flight: u64,
    /// The target's processes, whose CPU and memory are to be shown; one --pid for each --against, in the same order
    #[arg(long = "pid", value_name = "PID[,PID…]")]
    pub pids: Vec<Pids>,
    /// Write everything as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with plots to this file; it holds all it needs
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Threshold: calls that went wrong, as 0.1% or as a number
    #[arg(long, value_name = "SHARE")]
    pub max_failures: Option<Share>,
    /// Threshold: INVITE to 200, 99 of 100
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub max_p99: Option<Duration>,
    /// Authorities that a TLS target's certificate may come from (PEM), in place of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Draw tags, branches and Call-IDs from this number, not from the system
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// A target, and what it is called in the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name; without one, its URI.
    pub name: String,
    /// Its URI.
    pub uri: String,
}

impl Named {
    fn bare(uri: &str) -> Self {
        Self { name: uri.to_owned(), uri: uri.to_owned() }
    }
}

impl FromStr for Named {
    type Err = String;

    /// A URI has its scheme's colon before any equals sign, and a name has none.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, uri)) if !name.contains(':') && !name.is_empty() => {
                Ok(Self { name: name.to_owned(), uri: uri.to_owned() })
            }
            _ => Ok(Self::bare(text)),
        }
    }
}

/// The processes of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pids(pub Vec<u32>);

impl FromStr for Pids {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |_| format!("`{text}` is no process; write a number, or several as 10,11,12");
        Ok(Self(text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(bad)?))
    }
}

impl LoadArgs {
    /// The targets, in turn, each with its processes.
    ///
    /// # Errors
    /// A sentence that says which option does not fit.
    pub fn targets(&self) -> Result<Vec<(Named, Vec<u32>)>, String> {
        if let Some(target) = &self.target {
            let pids = self.pids.iter().flat_map(|pids| pids.0.iter().copied()).collect();
            return Ok(vec![(Named::bare(target), pids)]);
        }
        let (targets, pids) = (self.against.len(), self.pids.len());
        if targets < 2 {
            return Err("--against: name two targets or more; for one, leave the option out".to_owned());
        }
        if pids != 0 && pids != targets {
            return Err(format!("--pid: {pids} for {targets} targets; give one for each --against, as in --pid 10,11"));
        }
        let of = |n: usize| self.pids.get(n).map(|pids| pids.0.clone()).unwrap_or_default();
        Ok(self.against.iter().enumerate().map(|(n, target)| (target.clone(), of(n))).collect())
    }
}

/// What a call sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MediaArg {
    /// Nothing; the description names a port that nobody reads
    None,
    /// What it hears
    Echo,
    /// A tone
    Send,
}

/// A local address, and a port where one is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The address.
    pub ip: IpAddr,
    /// The port; 0: any.
    pub port: u16,
}

impl FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.trim_matches(['[', ']']).parse() {
            return Ok(Self { ip, port: 0 });
        }
        let at: std::net::SocketAddr =
            text.parse().map_err(|_| "write an address, like 127.0.0.1 or 127.0.0.1:5062")?;
        Ok(Self { ip: at.ip(), port: at.port() })
    }
}

/// How many calls may go wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// So many.
    Calls(u64),
    /// So many of a hundred.
    Percent(f64),
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "write a share, like 0.1%, or a number of calls".to_owned();
        match text.strip_suffix('%') {
            Some(number) => {
                let percent = number.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
                percent.map(Self::Percent).ok_or_else(bad)
            }
            None => text.parse().map(Self::Calls).map_err(|_| bad()),
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Calls(calls) => write!(f, "{calls}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_a_percentage() {
        assert_eq!("0.1%".parse(), Ok(Share::Percent(0.1)));
        assert_eq!("5".parse(), Ok(Share::Calls(5)));
        for bad in ["101%", "x", "-1", "%", "NaN%"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_target_may_have_a_name_before_it() {
        let named: Named = "kamailio=sip:b@127.0.0.1:5070".parse().unwrap();
        assert_eq!((named.name.as_str(), named.uri.as_str()), ("kamailio", "sip:b@127.0.0.1:5070"));
        let bare: Named = "sip:b@127.0.0.1;transport=tcp".parse().unwrap();
        assert_eq!((bare.name.as_str(), bare.uri.as_str()), (bare.uri.as_str(), "sip:b@127.0.0.1;transport=tcp"));
    }

    #[test]
    fn a_target_has_one_process_or_several() {
        assert_eq!("10,11".parse(), Ok(Pids(vec![10, 11])));
        assert!("10,x".parse::<Pids>().is_err());
    }

    #[test]
    fn an_address_may_name_a_port() {
        assert_eq!("127.0.0.1:5062".parse(), Ok(Bind { ip: [127, 0, 0, 1].into(), port: 5062 }));
        assert_eq!("::1".parse::<Bind>().map(|bind| bind.port), Ok(0));
        assert!("somewhere".parse::<Bind>().is_err());
    }
}
