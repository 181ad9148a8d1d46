//! `tandem check --probe`: what trunks answer, without a call. Each is asked by OPTIONS, and, where it registers, by a
//! REGISTER that takes nothing away and leaves nothing behind; over sockets of its own, so that a switch that runs is not
//! disturbed.

use crate::clock::{Clock, entropy};
use crate::config::Config;
use crate::process::{locals, tls};
use base::Now;
use carrier::{Profile, Trunk, TwilioError, X_TWILIO_ERROR, parse_twilio_error};
use sip_core::auth::AuthFailure;
use sip_core::endpoint::{self, Endpoint, Event, Failure, LadderEntry, OutOfDialog, RequestId};
use sip_core::header::NameAddr;
use sip_core::message::{Message, Method, Name};
use sip_core::net::{Dns, Full, Limits, Listener, Net};
use sip_core::transport::{Input, Transport};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long all trunks together may take to answer. A request without an answer is repeated meanwhile (RFC 3261 §17.1.2.1).
const PATIENCE: Duration = Duration::from_secs(10);
/// Inputs that wait to be taken; a datagram beyond them is dropped, and its sender repeats it.
const INBOX: usize = 1_024;

/// What a trunk was found to be.
#[derive(Debug)]
pub struct Found {
    /// Its name.
    pub trunk: String,
    /// Whether calls can be expected to go over it.
    pub good: bool,
    /// What was found and what to do, a sentence each.
    pub said: Vec<String>,
}

/// A question to a trunk.
struct Asked<'a> {
    trunk: &'a Trunk,
    method: Method,
    /// Where it was sent, in order.
    sent_to: Vec<(Transport, SocketAddr)>,
    result: Option<Result<Message, Failure>>,
    took: Duration,
}

/// Asks each trunk of a configuration.
///
/// # Errors
/// Where no socket can be had.
pub async fn probe(config: &Config) -> Result<Vec<Found>, Box<dyn std::error::Error + Send + Sync>> {
    let trunks: Vec<Trunk> = config.trunks.iter().filter_map(|trunk| Trunk::new(trunk.clone()).ok()).collect();
    let mut prober = Prober::start(config).await?;
    for trunk in &trunks {
        prober.ask(trunk, Method::Options);
        if trunk.config().register {
            prober.ask(trunk, Method::Register);
        }
    }
    let asked = prober.wait().await;
    Ok(trunks.iter().map(|trunk| found(trunk, &asked)).collect())
}

/// A user agent for the time of the questions.
struct Prober<'a> {
    clock: Clock,
    endpoint: Endpoint,
    net: Net,
    inbox: mpsc::Receiver<Input>,
    asked: BTreeMap<RequestId, Asked<'a>>,
    /// Those that could not even be sent.
    unsent: Vec<Asked<'a>>,
    wake: Option<u64>,
}

impl<'a> Prober<'a> {
    async fn start(config: &Config) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let anywhere = |listen: &crate::config::Listen| Listener {
            transport: listen.transport,
            bind: SocketAddr::new(listen.addr.ip(), 0),
        };
        let listeners: Vec<Listener> = config.sip.listen.iter().map(anywhere).collect();
        let (sender, inbox) = mpsc::channel(INBOX);
        let sink = move |input| sender.try_send(input).map_err(|_| Full);
        let limits = Limits::default();
        let (net, bound) = Net::bind_with(&listeners, tls(config)?, limits, Dns::System, sink).await?;
        let mut own = endpoint::Config::new(locals(config, &bound));
        own.local_net = config.sip.local_net.iter().map(|net| (net.network(), net.prefix_len())).collect();
        let endpoint = Endpoint::new(own, entropy()?);
        let (asked, unsent) = (BTreeMap::new(), Vec::new());
        Ok(Self { clock: Clock::start(), endpoint, net, inbox, asked, unsent, wake: None })
    }

    fn ask(&mut self, trunk: &'a Trunk, method: Method) {
        let mut asked =
            Asked { trunk, method: method.clone(), sent_to: Vec::new(), result: None, took: Duration::ZERO };
        let registers = method == Method::Register;
        let us = match trunk.address_of_record().filter(|_| registers) {
            Some(us) => us,
            None => NameAddr::new(trunk.registrar().clone()),
        };
        let request = OutOfDialog {
            method,
            uri: trunk.registrar().clone(),
            next_hop: trunk.next_hop(),
            from: us.clone(),
            to: us,
            call_id: None,
            cseq: None,
            // Of a binding that there is not: the registrar checks the credentials, and other bindings stay.
            headers: if registers { vec![("Expires".to_owned(), "0".to_owned())] } else { Vec::new() },
            body: None,
            credentials: trunk.credentials(),
        };
        match self.endpoint.request(request, self.clock.now()) {
            Ok(id) => {
                self.asked.insert(id, asked);
            }
            Err(refused) => {
                asked.result = Some(Err(Failure::Transport(refused.to_string())));
                self.unsent.push(asked);
            }
        }
    }

    /// Until every question has its answer, or patience ends.
    async fn wait(mut self) -> Vec<Asked<'a>> {
        let end = self.clock.now().after(PATIENCE);
        self.drain();
        while self.asked.values().any(|asked| asked.result.is_none()) {
            let now = self.clock.now();
            let until = self.wake.map_or(end, |wake| wake.min(end));
            let rest = Duration::from_nanos(until.saturating_sub(now.mono));
            let input = match tokio::time::timeout(rest, self.inbox.recv()).await {
                Ok(Some(input)) => input,
                Ok(None) => break,
                Err(_) => Input::Timeout,
            };
            // What has come, or what is due, counts also where this process was kept from looking in time.
            let is_over = now.mono >= end && matches!(input, Input::Timeout);
            self.endpoint.handle(input, self.clock.now());
            self.drain();
            if is_over {
                break;
            }
        }
        self.net.shutdown().await;
        self.asked.into_values().chain(self.unsent).collect()
    }

    fn drain(&mut self) {
        let now = self.clock.now();
        loop {
            match self.endpoint.poll() {
                endpoint::Output::Effect(effect) => self.net.execute(effect),
                endpoint::Output::Event(event) => self.note(event, now),
                endpoint::Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
            }
        }
    }

    fn note(&mut self, event: Event, now: Now) {
        match event {
            Event::Reply { request, result, .. } => {
                if let Some(asked) = self.asked.get_mut(&request) {
                    asked.took = Duration::from_nanos(now.mono);
                    asked.result = Some(result);
                }
            }
            Event::Ladder { entry, .. } if entry.sent => self.sent(&entry),
            _ => {}
        }
    }

    /// A line of the ladder names the Request-URI, and so the trunk.
    fn sent(&mut self, entry: &LadderEntry) {
        let to = (entry.transport, entry.peer);
        let is_its =
            |asked: &&mut Asked<'_>| entry.line == format!("{} {} SIP/2.0", asked.method, asked.trunk.registrar());
        for asked in self.asked.values_mut().filter(is_its).filter(|asked| !asked.sent_to.contains(&to)) {
            asked.sent_to.push(to);
        }
    }
}

fn found(trunk: &Trunk, asked: &[Asked<'_>]) -> Found {
    let mut found = Found { trunk: trunk.name().to_string(), good: true, said: Vec::new() };
    for asked in asked.iter().filter(|asked| asked.trunk.name() == trunk.name()) {
        let judged = judge(asked);
        let (good, said) = judged.map_or_else(|said| (false, said), |said| (true, said));
        found.good &= good;
        let to: Vec<String> = asked.sent_to.iter().map(|(over, peer)| format!("{over} {peer}")).collect();
        let to = if to.is_empty() { String::new() } else { format!(" to {}", to.join(", ")) };
        found.said.push(format!("{}{to}: {said}", asked.method));
    }
    if trunk.config().profile == Profile::Twilio {
        found.said.extend(TWILIO.map(str::to_owned));
    }
    found
}

/// What an OPTIONS cannot tell of a trunk of Twilio's (TWILIO.md §1).
const TWILIO: [&str; 2] = [
    "Twilio checks credentials and caller ID at each INVITE: 403 with 32204 means a number that is neither the account's nor verified there, 32201 an address that is not in the trunk's access list",
    "Twilio takes 1 call a second a trunk unless more was agreed (32001), and PCMU and PCMA alone: max_cps and codecs say what it is sent",
];

/// What was found where it is good, or what is wrong and what to do.
fn judge(asked: &Asked<'_>) -> Result<String, String> {
    let uri = &asked.trunk.config().uri;
    let registers = asked.method == Method::Register;
    match &asked.result {
        None | Some(Err(Failure::Timeout | Failure::TryTimeout)) => Err(format!(
            "no answer from {uri} within {} s: check the address and the firewalls on the way; a carrier that knows us by our address answers no other",
            PATIENCE.as_secs()
        )),
        Some(Err(Failure::Unresolved)) => Err(format!(
            "{uri}: this name has no address (NAPTR, SRV, A and AAAA were asked); correct uri or the resolver"
        )),
        Some(Err(Failure::Transport(reason))) => Err(format!("{uri} cannot be reached: {reason}{}", hint(asked.trunk))),
        Some(Err(Failure::Auth(AuthFailure::NoCredentials, Some(_)))) if !registers => {
            Ok("it is there, and wants to know who asks; this trunk has no username".to_owned())
        }
        Some(Err(Failure::Auth(failure, _))) => Err(format!("{failure}: correct username and password of this trunk")),
        Some(Ok(response) | Err(Failure::Response(response))) => answered(asked, response),
        Some(Err(Failure::NoAnswer | Failure::Canceled)) => Err("it was not answered".to_owned()),
    }
}

/// What else may be behind a transport that fails.
fn hint(trunk: &Trunk) -> &'static str {
    match trunk.transport() {
        Transport::Tls => {
            "; it must present a certificate for that name that this machine trusts, and sip.listen must have a tls:// entry to call from"
        }
        Transport::Tcp => "; nobody may listen there: check the port, or remove transport=tcp from uri",
        _ => "; nobody may listen there: check the port in uri",
    }
}

fn answered(asked: &Asked<'_>, response: &Message) -> Result<String, String> {
    let code = response.status().map_or(0, |status| status.code());
    let registers = asked.method == Method::Register;
    let agent = response.header_str(Name::Server).map(|name| format!(" ({name})")).unwrap_or_default();
    let told =
        response.header_named(X_TWILIO_ERROR).and_then(|value| parse_twilio_error(&String::from_utf8_lossy(&value)));
    let told = told.map(|TwilioError { code, text, .. }| format!(" {code} {text}")).unwrap_or_default();
    let said = format!("{code} {}{told}{agent} after {} ms", response.reason_phrase(), asked.took.as_millis());
    match code {
        200..=299 if registers => Ok(format!("{said}: the registrar takes username and password")),
        403 => Err(format!("{said}: it does not know this address, or not this trunk: check its access list and uri")),
        500..=599 => Err(format!("{said}: it is not in service, calls go to the next trunk; ask the carrier")),
        300.. if registers => Err(format!("{said}: it registers nobody like this: check uri and username")),
        _ => Ok(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, trunk: &Trunk, result: Result<&str, Failure>) -> Result<String, String> {
        let result = result.map(|line| {
            let head = "Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n";
            Message::parse(bytes::Bytes::from(format!("SIP/2.0 {line}\r\n{head}\r\n"))).expect("a response")
        });
        judge(&Asked { trunk, method, sent_to: Vec::new(), result: Some(result), took: Duration::from_millis(3) })
    }

    #[test]
    fn an_answer_is_good_or_says_what_to_do() {
        let uri = "sip:example.pstn.twilio.com;transport=tls".parse().expect("a uri");
        let trunk = Trunk::new(carrier::TrunkConfig::new("t".parse().expect("a name"), Profile::Twilio, uri));
        let trunk = trunk.expect("a trunk");
        assert!(asked(Method::Options, &trunk, Ok("200 OK")).expect("good").starts_with("200 OK"));
        assert!(asked(Method::Options, &trunk, Ok("404 Not Found")).is_ok(), "who answers is there");
        assert!(asked(Method::Register, &trunk, Ok("404 Not Found")).is_err());
        for (result, word) in [
            (Ok("403 Forbidden"), "access list"),
            (Ok("503 Service Unavailable"), "next trunk"),
            (Err(Failure::Unresolved), "resolver"),
            (Err(Failure::Timeout), "firewalls"),
            (Err(Failure::Transport("refused".to_owned())), "certificate"),
            (Err(Failure::Auth(AuthFailure::Rejected, None)), "password"),
        ] {
            let said = asked(Method::Options, &trunk, result).expect_err(word);
            assert!(said.contains(word), "{said}");
        }
    }
}
