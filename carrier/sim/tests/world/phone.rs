//! A phone for tests: an endpoint that calls or answers, with one media stream a call, and writes down what it hears.

use super::{CALLED, CALLER, CARRIER};
use base::{Now, Rng};
use carrier_sim::virtual_network::{Input, Node, Output};
use media::{Codec, Command as Media, EndpointId, Event as Heard, Latch, PlayId, Prompt, StreamConfig};
use sip_core::auth::Credentials;
use sip_core::endpoint::{self, Config, Endpoint, Event, Invite, NextHop, SessionId};
use sip_core::header::NameAddr;
use sip_core::message::{Message, StatusCode};
use sip_core::sdp::{self, AudioCodec, Direction, LocalAudio, Negotiated, SessionDescription};
use sip_core::transport::{self, Local, Transport};
use sip_core::uri::Uri;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Changes a datagram, or loses it.
pub type Tamper = Box<dyn FnMut(&[u8]) -> Option<bytes::Bytes> + Send>;

/// What a phone is told.
pub enum PhoneCommand {
    Call {
        to: String,
        from: String,
        credentials: Option<Credentials>,
        transport: Transport,
        offers: bool,
        try_timeout: Option<Duration>,
    },
    /// Ends every session, by CANCEL or BYE.
    HangUp,
    /// Plays a prompt in every session, once.
    Play(&'static str),
    Press(&'static str),
    /// How the next call to the phone is answered; the default is 200.
    Refuse(u16),
    /// Sends `a=sendonly` in every session.
    Hold,
    /// Changes each datagram that leaves.
    Tamper(Tamper),
}

impl PhoneCommand {
    pub fn call() -> Self {
        Self::Call {
            to: CALLED.to_owned(),
            from: CALLER.to_owned(),
            credentials: None,
            transport: Transport::Udp,
            offers: true,
            try_timeout: None,
        }
    }

    pub fn call_with(credentials: Credentials) -> Self {
        match Self::call() {
            Self::Call { to, from, transport, offers, try_timeout, .. } => {
                Self::Call { to, from, credentials: Some(credentials), transport, offers, try_timeout }
            }
            other => other,
        }
    }
}

/// What a phone tells.
#[derive(Clone, Debug)]
pub enum PhoneEvent {
    Received(Box<Message>),
    Failed(String),
    Key(char),
    Ended(String),
    FirstPacket,
}

impl fmt::Display for PhoneEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received(message) => f.write_str(message.start_line().trim_start_matches("SIP/2.0 ")),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Key(key) => write!(f, "key {key}"),
            Self::Ended(by) => write!(f, "ended: {by}"),
            Self::FirstPacket => f.write_str("rtp"),
        }
    }
}

struct Session {
    media: EndpointId,
    local: LocalAudio,
    sent: Option<bytes::Bytes>,
}

pub struct Phone {
    endpoint: Endpoint,
    media_ip: IpAddr,
    prompts: Vec<Arc<Prompt>>,
    rng: Rng,
    sessions: BTreeMap<SessionId, Session>,
    out: VecDeque<Output<PhoneEvent>>,
    refuse: Option<u16>,
    tamper: Option<Tamper>,
    next: u64,
    wake: Option<u64>,
}

impl Phone {
    pub fn new(locals: Vec<Local>, media_ip: IpAddr, prompts: Vec<Arc<Prompt>>, mut rng: Rng) -> Self {
        let endpoint = Endpoint::new(Config::new(locals), rng.fork());
        Self {
            endpoint,
            media_ip,
            prompts,
            rng,
            sessions: BTreeMap::new(),
            out: VecDeque::new(),
            refuse: None,
            tamper: None,
            next: 0,
            wake: None,
        }
    }

    pub fn load(&self) -> endpoint::Load {
        self.endpoint.load()
    }

    fn tell(&mut self, event: PhoneEvent) {
        self.out.push_back(Output::Report(event));
    }

    fn say(&mut self, command: Media) {
        self.out.push_back(Output::Media(command));
    }

    fn open(&mut self) -> Session {
        self.next += 1;
        let media = EndpointId(self.next);
        let port = 20_000 + (self.next as u16) * 2;
        self.say(Media::Create { id: media, rtp_port: port });
        let local = LocalAudio {
            addr: self.media_ip,
            port,
            codecs: vec![AudioCodec::Pcmu, AudioCodec::Pcma],
            telephone_event: Some(101),
            ptime_ms: 20,
            direction: Direction::SendRecv,
            rtcp_mux: false,
            security: sip_core::sdp::Security::Plain,
            session_id: u64::from(self.rng.u32()),
            version: 1,
        };
        Session { media, local, sent: None }
    }

    fn command(&mut self, command: PhoneCommand, now: Now) {
        let all: Vec<_> = self.sessions.keys().copied().collect();
        match command {
            PhoneCommand::Call { to, from, credentials, transport, offers, try_timeout } => {
                let mut session = self.open();
                let uri = Uri::sip(Some(&to), CARRIER.parse::<IpAddr>().unwrap(), Some(5060));
                let from = Uri::sip(Some(&from), self.media_ip, None);
                let body = offers.then(|| (sdp::CONTENT_TYPE.to_owned(), sdp::offer(&session.local)));
                session.sent = body.as_ref().map(|(_, sdp)| sdp.clone());
                let invite = Invite {
                    next_hop: NextHop::new(CARRIER, Some(5060), transport),
                    from: NameAddr::new(from),
                    to: NameAddr::new(uri.clone()),
                    uri,
                    contact_user: None,
                    headers: Vec::new(),
                    body,
                    call_id: None,
                    max_forwards: sip_core::endpoint::MAX_FORWARDS,
                    routes: Vec::new(),
                    credentials,
                    try_timeout,
                    ring_timeout: None,
                };
                let id = self.endpoint.invite(invite, now).unwrap();
                self.sessions.insert(id, session);
            }
            PhoneCommand::HangUp => all.into_iter().for_each(|id| self.endpoint.hangup(id, Vec::new(), now)),
            PhoneCommand::Play(name) => {
                let prompt = self.prompts.iter().find(|prompt| prompt.name() == name).unwrap().clone();
                for id in all {
                    self.next += 1;
                    let (id, play) = (self.sessions[&id].media, PlayId(self.next));
                    self.say(Media::Play { id, play, prompt: prompt.clone(), repeat: 1 });
                }
            }
            PhoneCommand::Press(keys) => {
                for id in all {
                    let id = self.sessions[&id].media;
                    self.say(Media::SendDigits { id, digits: keys.to_owned(), tone_ms: 100, gap_ms: 60 });
                }
            }
            PhoneCommand::Refuse(status) => self.refuse = Some(status),
            PhoneCommand::Hold => {
                for id in all {
                    let session = self.sessions.get_mut(&id).unwrap();
                    session.local.direction = Direction::SendOnly;
                    session.local.version += 1;
                    let offer = sdp::offer(&session.local);
                    self.endpoint.reoffer(id, Some((sdp::CONTENT_TYPE.to_owned(), offer)), now);
                }
            }
            PhoneCommand::Tamper(tamper) => self.tamper = Some(tamper),
        }
    }

    fn agree(&mut self, id: SessionId, agreed: &Negotiated) {
        let Some(session) = self.sessions.get(&id) else { return };
        let config = StreamConfig {
            remote: agreed.remote,
            remote_rtcp: agreed.remote_rtcp,
            rtcp_mux: agreed.rtcp_mux,
            codec: if agreed.codec == AudioCodec::Pcmu { Codec::Pcmu } else { Codec::Pcma },
            payload_type_out: agreed.payload_type_out,
            payload_type_in: agreed.payload_type_in,
            dtmf_out: agreed.telephone_event_out,
            dtmf_in: agreed.telephone_event_in,
            dtmf_clock: agreed.telephone_event_clock,
            ptime_ms: agreed.ptime_ms,
            send: agreed.direction.sends(),
            receive: agreed.direction.receives(),
            srtp: None,
            latch: Latch::Signalled,
            timeout: None,
            expects_media: false,
        };
        let media = session.media;
        self.say(Media::Configure { id: media, config });
    }

    fn accept_answer(&mut self, id: SessionId, body: &[u8]) {
        let Some(session) = self.sessions.get(&id) else { return };
        if let Ok(answer) = SessionDescription::parse(body)
            && let Ok(agreed) = sdp::accept_answer(&session.local, &answer)
        {
            self.agree(id, &agreed);
        }
    }

    fn answer(&mut self, session: &mut Session, offer: &[u8]) -> (bytes::Bytes, Negotiated) {
        let offer = SessionDescription::parse(offer).unwrap();
        let answered = sdp::answer(&offer, &session.local).unwrap();
        (answered.sdp, answered.negotiated)
    }

    fn event(&mut self, event: Event, now: Now) {
        match event {
            Event::Incoming { session: id, request, .. } => {
                self.tell(PhoneEvent::Received(Box::new(request.clone())));
                if let Some(status) = self.refuse.take() {
                    return self.endpoint.reject(id, StatusCode::new(status).unwrap(), Vec::new(), now);
                }
                let mut session = self.open();
                let (sdp, agreed) = self.answer(&mut session, request.body());
                self.sessions.insert(id, session);
                self.agree(id, &agreed);
                self.endpoint.progress(id, StatusCode::RINGING, Vec::new(), None, now);
                self.endpoint.accept(id, Vec::new(), Some((sdp::CONTENT_TYPE.to_owned(), sdp)), now);
            }
            Event::Progress { session, response } => {
                if !response.body().is_empty() {
                    self.accept_answer(session, response.body());
                }
                self.tell(PhoneEvent::Received(Box::new(response)));
            }
            Event::Answered { session: id, response } => {
                // An INVITE without an offer: the answer belongs in the ACK, which is gone; the carrier's offer stands.
                if self.sessions.get(&id).is_some_and(|session| session.sent.is_some()) {
                    self.accept_answer(id, response.body());
                }
                self.tell(PhoneEvent::Received(Box::new(response)));
            }
            Event::ReofferDone { session, result: Ok(response) } => {
                self.accept_answer(session, response.body());
                self.tell(PhoneEvent::Received(Box::new(response)));
            }
            Event::Reoffer { session: id, id: reoffer, request } => {
                let mut session = self.sessions.remove(&id).unwrap();
                session.local.version += 1;
                let (sdp, agreed) = self.answer(&mut session, request.body());
                self.sessions.insert(id, session);
                self.agree(id, &agreed);
                let body = Some((sdp::CONTENT_TYPE.to_owned(), sdp));
                self.endpoint.respond(id, reoffer, StatusCode::OK, body, now);
                self.tell(PhoneEvent::Received(Box::new(request)));
            }
            Event::Failed { session, failure } => {
                self.close(session);
                let why = match &failure {
                    endpoint::Failure::Response(response) => response.start_line().into_owned(),
                    endpoint::Failure::Auth(why, _) => format!("{why:?}"),
                    other => format!("{other:?}"),
                };
                if let endpoint::Failure::Response(response) = failure {
                    self.tell(PhoneEvent::Received(Box::new(response)));
                }
                self.tell(PhoneEvent::Failed(why));
            }
            Event::Ended { session, by, request } => {
                self.close(session);
                if let Some(request) = request {
                    self.tell(PhoneEvent::Received(Box::new(request)));
                }
                self.tell(PhoneEvent::Ended(format!("{by:?}")));
            }
            _ => {}
        }
    }

    fn close(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            self.say(Media::Close { id: session.media });
        }
    }

    fn pump(&mut self, now: Now) {
        loop {
            match self.endpoint.poll() {
                endpoint::Output::Event(event) => self.event(event, now),
                endpoint::Output::Effect(transport::Effect::Transmit { local, to, bytes }) => {
                    let bytes = match &mut self.tamper {
                        Some(tamper) => tamper(&bytes),
                        None => Some(bytes),
                    };
                    let sent = bytes.map(|bytes| Output::Sip(transport::Effect::Transmit { local, to, bytes }));
                    self.out.extend(sent);
                }
                endpoint::Output::Effect(effect) => self.out.push_back(Output::Sip(effect)),
                endpoint::Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
            }
        }
    }
}

impl Node for Phone {
    type Command = PhoneCommand;
    type Report = PhoneEvent;

    fn handle(&mut self, input: Input<PhoneCommand>, now: Now) {
        match input {
            Input::Sip(input) => self.endpoint.handle(input, now),
            Input::Media(Heard::Digit { digit, .. }) => self.tell(PhoneEvent::Key(digit)),
            Input::Media(Heard::FirstPacket { .. }) => self.tell(PhoneEvent::FirstPacket),
            Input::Media(_) => {}
            Input::Command(command) => self.command(command, now),
            Input::Timeout => self.endpoint.handle(transport::Input::Timeout, now),
        }
        self.pump(now);
    }

    fn poll(&mut self) -> Output<PhoneEvent> {
        self.out.pop_front().unwrap_or(Output::Timeout(self.wake))
    }
}
