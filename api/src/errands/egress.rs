//! The one way out for HTTP that others have named: only to addresses that the [`Policy`] lets pass, each looked at when
//! it is connected to and never resolved again in between; no proxy, no redirection, nothing read without end.

use super::policy::Policy;
use futures_util::future::BoxFuture;
use ivr::{FetchFault, Timeouts};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// What we call ourselves (TWILIO.md §3.1): servers look for it.
pub const USER_AGENT: &str = "TwilioProxy/1.1";

/// Connections to one host that are kept for the next request; one more is closed after its exchange.
const IDLE_PER_HOST: usize = 8;

/// How long they are kept.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Characters of another's error that ours repeats.
const SHOWN: usize = 200;

/// Says what a name means.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of `host`, in the order in which they are to be tried.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|addr| addr.ip()).collect()) })
    }
}

/// Why there is no way out at all.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Of our own TLS.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Of the HTTP client.
    #[error("the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// What a request carries.
#[derive(Debug, Default)]
pub enum Content {
    /// Nothing.
    #[default]
    Nothing,
    /// A text, whose type its headers name.
    Text(String),
    /// Octets, whose type its headers name.
    Octets(Vec<u8>),
    /// A form with files in it (RFC 7578), which names its type itself.
    Form(reqwest::multipart::Form),
}

/// One exchange.
#[derive(Debug)]
pub struct Exchange {
    /// How.
    pub method: Method,
    /// Where; its fragment is not sent.
    pub url: Url,
    /// What is said beside our name.
    pub headers: HeaderMap,
    /// The body.
    pub body: Content,
    /// How long each part may take.
    pub timeouts: Timeouts,
    /// Octets of the response's body that are read; what comes after them is not.
    pub most: usize,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// 200.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// At most [`Exchange::most`] octets.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's text; empty where there is none, or it is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// The way out. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Egress {
    checked: Arc<Checked>,
    tls: rustls::ClientConfig,
    /// For the usual timeouts: it keeps connections.
    usual: Client,
}

impl Egress {
    /// A way out by `policy`, where names mean what `lookup` says.
    ///
    /// # Errors
    /// Where the client cannot be made.
    pub fn new(policy: Policy, lookup: Arc<dyn Lookup>) -> Result<Self, EgressError> {
        let checked = Arc::new(Checked { policy, lookup });
        let tls = tls()?;
        let usual = client(&checked, &tls, Timeouts::default())?;
        Ok(Self { checked, tls, usual })
    }

    /// Does one exchange.
    ///
    /// # Errors
    /// Why nothing came back; [`FetchFault::Refused`] where the policy does not let us go there.
    pub async fn exchange(&self, exchange: Exchange) -> Result<Reply, FetchFault> {
        self.checked.url(&exchange.url)?;
        let usual = Timeouts::default();
        let fits = exchange.timeouts.connect_ms == usual.connect_ms && exchange.timeouts.read_ms == usual.read_ms;
        let client = if fits {
            self.usual.clone()
        } else {
            client(&self.checked, &self.tls, exchange.timeouts).map_err(|error| fault(&error))?
        };
        let Exchange { method, url, headers, body, timeouts, most } = exchange;
        let request = client.request(method, url).headers(headers).timeout(ms(timeouts.total_ms));
        let request = match body {
            Content::Nothing => request,
            Content::Text(text) => request.body(text),
            Content::Octets(octets) => request.body(octets),
            Content::Form(form) => request.multipart(form),
        };
        let mut response = request.send().await.map_err(|error| fault(&error))?;
        let mut body = Vec::new();
        while body.len() < most
            && let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))?
        {
            let room = most - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        Ok(Reply { status: response.status().as_u16(), headers: std::mem::take(response.headers_mut()), body })
    }
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    // What the system holds and we cannot read is not trusted; a server that needs it is not connected to.
    let (_, unread) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    tracing::debug!(trusted = roots.len(), unread, "the system's certificates");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn client(checked: &Arc<Checked>, tls: &rustls::ClientConfig, timeouts: Timeouts) -> Result<Client, reqwest::Error> {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Arc::clone(checked))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(ms(timeouts.connect_ms))
        .read_timeout(ms(timeouts.read_ms))
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_TIME)
        .build()
}

/// A resolver that gives out only what may be connected to.
struct Checked {
    policy: Policy,
    lookup: Arc<dyn Lookup>,
}

/// Our own no, on its way through the client's errors.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

impl Checked {
    /// What can be said before a name is resolved: scheme, and an address in place of a name, however it is written.
    fn url(&self, url: &Url) -> Result<(), FetchFault> {
        if !matches!(url.scheme(), "http" | "https") {
            let scheme: String = url.scheme().chars().take(20).collect();
            return Err(FetchFault::Refused(format!("{scheme}: is not fetched; write https:// or http://")));
        }
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(FetchFault::Refused("a URL without a host is not fetched".to_owned())),
        };
        self.policy.refuses(address).map_or(Ok(()), |why| Err(FetchFault::Refused(refusal(address, why))))
    }
}

fn refusal(address: IpAddr, why: &str) -> String {
    format!("{address} is {why}; name its network in [egress] allow if it may be reached")
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (asked, policy) = (self.lookup.lookup(name.as_str().to_owned()), self.policy.clone());
        Box::pin(async move {
            let found = asked.await?;
            let (mut good, mut refused) = (Vec::new(), None);
            for address in found {
                match policy.refuses(address) {
                    None => good.push(SocketAddr::new(address, 0)),
                    Some(why) => refused = Some(refusal(address, why)),
                }
            }
            match refused {
                // One that is refused beside one that is not: a name that tries.
                Some(refused) => Err(Refusal(format!("{}: {refused}", name.as_str())).into()),
                None => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

/// The client's error as the machine knows it.
fn fault(error: &reqwest::Error) -> FetchFault {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(inner) = source {
        if let Some(refusal) = inner.downcast_ref::<Refusal>() {
            return FetchFault::Refused(refusal.0.clone());
        }
        last = inner.to_string();
        source = inner.source();
    }
    let said: String = last.chars().take(SHOWN).collect();
    match () {
        () if error.is_connect() => FetchFault::Connect(said),
        () if error.is_timeout() => FetchFault::Timeout,
        () => FetchFault::Protocol(said),
    }
}
