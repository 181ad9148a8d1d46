//! A user's phone on the virtual network: the user agent alone, without media, that does what a test tells it and notes
//! what it hears.

use crate::hosts::{SWITCH, Told};
use base::{Now, Rng};
use bytes::Bytes;
use carrier_sim::virtual_network::{Output, Site};
use sip_core::auth::Credentials;
use sip_core::endpoint::{self, Endpoint, Event, Invite, MAX_FORWARDS, NextHop, OutOfDialog, SessionId};
use sip_core::header::{NameAddr, Warning};
use sip_core::message::{Message, Method, Name, StatusCode};
use sip_core::sdp::{self, AudioCodec, Direction, LocalAudio, SessionDescription};
use sip_core::transport::{Input, Transport};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

pub const PASSWORD: &str = "Correct-Horse-7-Battery";

/// See the head of this file.
pub struct Phone {
    name: String,
    ip: Ipv4Addr,
    endpoint: Endpoint,
    out: VecDeque<Output<Told>>,
    wake: Option<u64>,
    /// Its calls, in order.
    pub sessions: Vec<SessionId>,
    /// What happened, in words.
    pub heard: Vec<String>,
    /// Whether it answers.
    pub answers: bool,
    /// Of calls that came: what they offer.
    offers: BTreeMap<SessionId, Bytes>,
    /// Of the last description it sent (RFC 3264 §8).
    version: u64,
    /// Its last change left the offer to the other side.
    asked_for_offer: bool,
    /// The calls that it holds.
    holds: BTreeSet<SessionId>,
    /// It leaves changes of the other side unanswered until `answer_changes`.
    pub hesitates: bool,
    /// Those that it has not answered.
    unanswered: Vec<Event>,
    /// What each call has agreed on last.
    flows: BTreeMap<SessionId, Direction>,
}

/// A gateway's offer of T.38 in place of the voice (ITU-T T.38 annex D).
const FAX: &str = "v=0\r\no=- 1 9 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n\
                   m=image 20002 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
                   a=T38FaxRateManagement:transferredTCF\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n";

/// What a phone asks for in mid-call (FAULTS row 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Hold,
    Resume,
    /// Its audio goes to another port.
    Move,
    /// It has one codec less.
    Codec,
    /// It leaves the offer to the other side.
    Offerless,
    /// What it describes cannot be read.
    Bad,
    /// It has a fax to send, and no voice (ITU-T T.38).
    Fax,
    /// It describes this.
    Says(&'static str),
}

impl Phone {
    pub fn new(name: &str, ip: [u8; 4], mut rng: Rng) -> Self {
        let ip = Ipv4Addr::from(ip);
        let mut config = endpoint::Config::new(Site::at(IpAddr::V4(ip)).locals);
        config.handed_up = vec![Method::Message];
        let endpoint = Endpoint::new(config, rng.fork());
        let (out, sessions, heard) = (VecDeque::new(), Vec::new(), Vec::new());
        let (name, offers) = (name.to_owned(), BTreeMap::new());
        let (answers, version, asked_for_offer) = (true, 1, false);
        Self {
            name,
            ip,
            endpoint,
            out,
            wake: None,
            sessions,
            heard,
            answers,
            offers,
            version,
            asked_for_offer,
            holds: BTreeSet::new(),
            hesitates: false,
            unanswered: Vec::new(),
            flows: BTreeMap::new(),
        }
    }

    pub fn handle(&mut self, input: Input, now: Now) {
        self.endpoint.handle(input, now);
        self.drain(now);
    }

    /// What its user agent holds.
    pub fn load(&self) -> endpoint::Load {
        self.endpoint.load()
    }

    pub fn is_idle(&self) -> bool {
        self.load() == endpoint::Load::default()
    }

    pub fn poll(&mut self) -> Output<Told> {
        self.out.pop_front().unwrap_or(Output::Timeout(self.wake))
    }

    fn drain(&mut self, now: Now) {
        loop {
            match self.endpoint.poll() {
                endpoint::Output::Effect(effect) => self.out.push_back(Output::Sip(effect)),
                endpoint::Output::Event(event) => self.on(event, now),
                endpoint::Output::Timeout(at) => return self.wake = at,
            }
        }
    }

    fn on(&mut self, event: Event, now: Now) {
        match event {
            Event::Incoming { session, request, .. } => {
                self.heard.push("rings".to_owned());
                let proofs = request.lines_named("Identity").map(|value| String::from_utf8_lossy(&value).into_owned());
                self.heard.extend(proofs.map(|proof| format!("is shown {proof}")));
                self.sessions.push(session);
                self.offers.insert(session, request.body().clone());
                self.endpoint.progress(session, StatusCode::RINGING, Vec::new(), None, now);
                if self.answers {
                    self.accept(self.sessions.len() - 1, now);
                }
            }
            Event::Reoffer { .. } if self.hesitates => self.unanswered.push(event),
            Event::Reoffer { session, id, request } if request.body().is_empty() => {
                self.heard.push("is asked for an offer".to_owned());
                let offer = body(sdp::offer(&self.local(Direction::SendRecv)));
                self.endpoint.respond(session, id, StatusCode::OK, Some(offer), now);
            }
            Event::Reoffer { session, id, request } => {
                let offer = SessionDescription::parse(request.body()).unwrap();
                let answered = sdp::answer(&offer, &self.local(self.wish(session))).unwrap();
                self.heard.push(format!("is offered {}", answered.negotiated.peer_direction.as_str()));
                self.flows.insert(session, answered.negotiated.direction);
                self.endpoint.respond(session, id, StatusCode::OK, Some(body(answered.sdp)), now);
            }
            Event::ReofferDone { session, result } => self.changed(session, &result, now),
            Event::Answered { .. } => self.heard.push("answered".to_owned()),
            Event::Confirmed { .. } => self.heard.push("confirmed".to_owned()),
            Event::Failed { failure, .. } => {
                self.heard.push(format!("failed {}{}", code_of(&failure), why(&failure)));
            }
            Event::ReferProgress { status, terminated, .. } => {
                self.heard.push(format!("transfer {status}{}", if terminated { " at last" } else { "" }));
            }
            Event::ReferDone { result, .. } => {
                let status = result.map_or_else(|failure| code_of(&failure), |response| code(&response));
                self.heard.push(format!("refer {status}"));
            }
            Event::RequestDone { result, .. } => {
                let (Ok(response) | Err(endpoint::Failure::Response(response))) = &result else { return };
                let named = [Name::Allow, Name::AllowEvents]
                    .into_iter()
                    .filter_map(|name| response.header_str(name).map(|value| format!(" {}: {value}", name.as_str())));
                self.heard.push(format!("info {}{}", code(response), named.collect::<String>()));
            }
            Event::Ended { request, .. } => {
                self.heard.push(if request.is_some() { "is hung up on" } else { "ended" }.to_owned());
            }
            Event::Arrived { request, message, .. } => {
                let from = message.from().unwrap().uri.clone();
                let words = String::from_utf8_lossy(message.body()).into_owned();
                self.heard.push(format!("{} says {words}", from.user().unwrap_or_default()));
                self.endpoint.answer(request, StatusCode::OK, Vec::new(), None, now);
            }
            Event::Reply { result, .. } => {
                let status = result.map_or_else(|failure| code_of(&failure), |response| code(&response));
                self.heard.push(format!("register {status}"));
            }
            _ => {}
        }
    }

    /// What became of a change of ours; an offer that came instead of an answer is answered.
    fn changed(&mut self, session: SessionId, result: &Result<Message, endpoint::Failure>, now: Now) {
        let word = match result {
            Ok(response) => {
                if self.asked_for_offer {
                    let offer = SessionDescription::parse(response.body()).unwrap();
                    let answered = sdp::answer(&offer, &self.local(self.wish(session))).unwrap();
                    self.flows.insert(session, answered.negotiated.direction);
                    self.endpoint.acknowledge(session, Some(body(answered.sdp)), now);
                } else if let Ok(answer) = SessionDescription::parse(response.body()) {
                    let offered = self.local(self.wish(session));
                    self.flows.insert(session, sdp::accept_answer(&offered, &answer).unwrap().direction);
                }
                "changes".to_owned()
            }
            Err(failure) => format!("changes nothing: {}{}", code_of(failure), why(failure)),
        };
        self.heard.push(word);
    }

    /// Answers its nth call.
    pub fn accept(&mut self, nth: usize, now: Now) {
        let answer = self.answer_to(nth);
        self.endpoint.accept(self.sessions[nth], Vec::new(), Some(answer), now);
        self.drain(now);
    }

    /// 183 with a description, which is to be acknowledged where the caller can (RFC 3262).
    pub fn early(&mut self, nth: usize, now: Now) {
        let answer = self.answer_to(nth);
        self.endpoint.progress(self.sessions[nth], StatusCode::SESSION_PROGRESS, Vec::new(), Some(answer), now);
        self.drain(now);
    }

    fn answer_to(&self, nth: usize) -> (String, Bytes) {
        let offer = SessionDescription::parse(&self.offers[&self.sessions[nth]]).unwrap();
        body(sdp::answer(&offer, &self.local(Direction::SendRecv)).unwrap().sdp)
    }

    /// Asks for a change of its nth call.
    pub fn change(&mut self, nth: usize, change: Change, now: Now) {
        let offer = self.offer_of(self.sessions[nth], change);
        self.endpoint.reoffer(self.sessions[nth], offer, now);
        self.drain(now);
    }

    /// Answers the changes that it has left unanswered, and hesitates no more.
    pub fn answer_changes(&mut self, now: Now) {
        self.hesitates = false;
        for event in std::mem::take(&mut self.unanswered) {
            self.on(event, now);
        }
        self.drain(now);
    }

    /// Ends its hold of its nth call and leaves the offer to the other side.
    pub fn resume_by_offer_of_others(&mut self, nth: usize, now: Now) {
        self.holds.remove(&self.sessions[nth]);
        self.change(nth, Change::Offerless, now);
    }

    /// Asks for a change of its nth call before that is answered (RFC 3311).
    pub fn change_early(&mut self, nth: usize, change: Change, now: Now) {
        let offer = self.offer_of(self.sessions[nth], change);
        self.endpoint.update(self.sessions[nth], offer, now);
        self.drain(now);
    }

    fn offer_of(&mut self, session: SessionId, change: Change) -> Option<(String, Bytes)> {
        self.version += 1;
        self.asked_for_offer = change == Change::Offerless;
        match change {
            Change::Hold => _ = self.holds.insert(session),
            Change::Resume => _ = self.holds.remove(&session),
            _ => {}
        }
        let mut local = LocalAudio { version: self.version, ..self.local(self.wish(session)) };
        match change {
            Change::Move => local.port = 20_000 + 2 * self.version as u16,
            Change::Codec => local.codecs.truncate(1),
            _ => {}
        }
        match change {
            Change::Offerless => None,
            Change::Fax => Some(body(FAX.into())),
            Change::Says(text) => Some(body(text.into())),
            Change::Bad => Some(body("v=0\r\nthis is no description".into())),
            _ => Some(body(sdp::offer(&local))),
        }
    }

    /// What it wants of a call.
    fn wish(&self, session: SessionId) -> Direction {
        if self.holds.contains(&session) { Direction::SendOnly } else { Direction::SendRecv }
    }

    /// Which way audio flows in its nth call, seen from it, since that was changed.
    pub fn flow(&self, nth: usize) -> Option<Direction> {
        self.flows.get(&self.sessions[nth]).copied()
    }

    fn local(&self, direction: Direction) -> LocalAudio {
        LocalAudio {
            addr: IpAddr::V4(self.ip),
            port: 20_000,
            codecs: AudioCodec::ALL.to_vec(),
            telephone_event: None,
            ptime_ms: 20,
            direction,
            rtcp_mux: false,
            security: sip_core::sdp::Security::Plain,
            session_id: 1,
            version: 1,
        }
    }

    fn us(&self) -> NameAddr {
        NameAddr::new(format!("sip:{}@{}", self.name, Ipv4Addr::from(SWITCH)).parse().unwrap())
    }

    fn credentials(&self) -> Option<Credentials> {
        Some(Credentials { username: self.name.clone(), password: PASSWORD.into(), realm: None })
    }

    /// Sends a MESSAGE; its answer is heard as a registration's is.
    pub fn text(&mut self, to: &str, words: &str, now: Now) {
        let to: NameAddr = NameAddr::new(format!("sip:{to}@{}", Ipv4Addr::from(SWITCH)).parse().unwrap());
        let request = OutOfDialog {
            method: Method::Message,
            uri: to.uri.clone(),
            next_hop: switch(),
            from: self.us(),
            to,
            call_id: None,
            cseq: None,
            headers: Vec::new(),
            body: Some(("text/plain".to_owned(), words.to_owned().into())),
            credentials: self.credentials(),
        };
        self.endpoint.request(request, now).unwrap();
        self.drain(now);
    }

    pub fn register(&mut self, now: Now) {
        let request = OutOfDialog {
            method: Method::Register,
            uri: format!("sip:{}", Ipv4Addr::from(SWITCH)).parse().unwrap(),
            next_hop: switch(),
            from: self.us(),
            to: self.us(),
            call_id: None,
            cseq: None,
            headers: vec![("Expires".to_owned(), "600".to_owned())],
            body: None,
            credentials: self.credentials(),
        };
        self.endpoint.request(request, now).unwrap();
        self.drain(now);
    }

    /// Calls somebody, with these header fields besides.
    pub fn dial(&mut self, to: &str, headers: Vec<(String, String)>, now: Now) {
        let offer = sdp::offer(&self.local(Direction::SendRecv));
        self.dial_with(to, headers, offer, now);
    }

    /// Calls somebody and describes this.
    pub fn dial_with(&mut self, to: &str, headers: Vec<(String, String)>, offer: Bytes, now: Now) {
        let to = NameAddr::new(format!("sip:{to}@{}", Ipv4Addr::from(SWITCH)).parse().unwrap());
        let invite = Invite {
            uri: to.uri.clone(),
            next_hop: switch(),
            from: self.us(),
            to,
            contact_user: Some(self.name.clone()),
            call_id: None,
            max_forwards: MAX_FORWARDS,
            routes: Vec::new(),
            headers,
            body: Some(body(offer)),
            credentials: self.credentials(),
            try_timeout: None,
            ring_timeout: None,
        };
        let session = self.endpoint.invite(invite, now).unwrap();
        self.sessions.push(session);
        self.drain(now);
    }

    /// Asks for a transfer of its nth call: to somebody, or to whom its other call is with.
    pub fn refer(&mut self, nth: usize, to: &str, instead_of: Option<usize>, now: Now) {
        let mut uri = format!("sip:{to}@{}", Ipv4Addr::from(SWITCH));
        if let Some(other) = instead_of {
            let replaces = self.replaces(other);
            let escaped: String =
                replaces
                    .bytes()
                    .map(|byte| {
                        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
                    })
                    .collect();
            uri += &format!("?Replaces={escaped}");
        }
        let to = NameAddr::new(uri.parse().unwrap());
        self.endpoint.refer(self.sessions[nth], &to, Vec::new(), now).unwrap();
        self.drain(now);
    }

    /// What names its nth call to the switch.
    pub fn replaces(&self, nth: usize) -> String {
        self.endpoint.replaces_header(self.sessions[nth]).unwrap()
    }

    pub fn press(&mut self, nth: usize, key: char, now: Now) {
        let text = format!("Signal={key}\r\nDuration=160\r\n");
        let body = Some(("application/dtmf-relay".to_owned(), text.into_bytes().into()));
        self.endpoint.send_request(self.sessions[nth], Method::Info, Vec::new(), body, now).unwrap();
        self.drain(now);
    }

    /// Sends a request of this method inside its nth call.
    pub fn ask(&mut self, nth: usize, method: Method, headers: &[(&str, &str)], now: Now) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.endpoint.send_request(self.sessions[nth], method, headers, None, now).unwrap();
        self.drain(now);
    }

    pub fn hangup(&mut self, nth: usize, now: Now) {
        self.endpoint.hangup(self.sessions[nth], Vec::new(), now);
        self.drain(now);
    }
}

fn switch() -> NextHop {
    NextHop::new(Ipv4Addr::from(SWITCH).to_string(), Some(5060), Transport::Udp)
}

fn body(sdp: Bytes) -> (String, Bytes) {
    (sdp::CONTENT_TYPE.to_owned(), sdp)
}

fn code(response: &Message) -> u16 {
    response.status().map_or(0, StatusCode::code)
}

fn code_of(failure: &endpoint::Failure) -> u16 {
    match failure {
        endpoint::Failure::Response(response) | endpoint::Failure::Auth(_, Some(response)) => code(response),
        _ => 0,
    }
}

/// What a refusal says by its Warning.
fn why(failure: &endpoint::Failure) -> String {
    let endpoint::Failure::Response(response) = failure else { return String::new() };
    let warning = response.values(Name::Warning).find_map(|value| Warning::parse(&value).ok());
    warning.map(|warning| format!(" ({} {})", warning.code(), warning.text())).unwrap_or_default()
}
