//! Endpoints on a virtual network and a virtual clock: what every endpoint test stands on.
//!
//! [`Net`] holds any number of endpoints and raw addresses (peers played by the test itself). Packets take time, get lost,
//! come twice or out of order as [`Weather`] says; streams keep their order and can be cut into pieces. Nothing sleeps:
//! time jumps to whatever is next. One seed, one run.

#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use base::{Now, Rng};
use bytes::Bytes;
use sip_core::endpoint::{Config, EndedBy, Endpoint, Event, Invite, LadderEntry, Load, NextHop, Output, SessionId};
use sip_core::header::NameAddr;
use sip_core::message::{Message, Name};
use sip_core::transport::{Effect, FlowId, Input, Local, LocalId, Transport};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

pub const A: usize = 0;
pub const B: usize = 1;

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// 64·T1.
pub const PATIENCE: Duration = secs(32);

/// What the network does to datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The shortest and the longest way, in milliseconds: a difference reorders.
    pub delay: (u64, u64),
    pub loss: f64,
    pub duplicates: f64,
}

pub const CALM: Weather = Weather { delay: (10, 10), loss: 0.0, duplicates: 0.0 };

/// Whoever uses an endpoint: told of each event, it may call back.
pub type App = Box<dyn FnMut(&mut Endpoint, &Event, Now)>;

/// Which session is to be hung up after an event, and how many milliseconds after.
pub type HangUp = fn(&Event) -> Option<(SessionId, u64)>;

/// What a test decides about a datagram.
pub type Filter = Box<dyn FnMut(SocketAddr, SocketAddr, &Message) -> bool>;

pub struct Node {
    pub endpoint: Endpoint,
    pub ip: &'static str,
    pub events: Vec<Event>,
    /// All effects, for what no other view shows.
    pub effects: Vec<Effect>,
    pub names: HashMap<String, Vec<SocketAddr>>,
    pub app: Option<App>,
    /// Which session is hung up so many milliseconds after an event.
    pub hang_up: Option<HangUp>,
    wake: Option<u64>,
}

/// One end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct End(usize, FlowId);

enum Arrival {
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Bytes },
    Node(usize, Input),
    HangUp(usize, SessionId),
}

pub struct Net {
    pub now: Now,
    pub nodes: Vec<Node>,
    pub weather: Weather,
    /// Datagrams to addresses that no endpoint has: the test's own mail.
    pub mail: Vec<(SocketAddr, SocketAddr, Message)>,
    /// False drops a datagram.
    pub filter: Option<Filter>,
    /// Streams arrive in pieces of so many bytes.
    pub segment: Option<usize>,
    /// Connections to these are refused.
    pub refusing: Vec<SocketAddr>,
    /// Connections to these are never answered.
    pub black_holes: Vec<SocketAddr>,
    /// Datagrams to these draw an ICMP error.
    pub unreachable: Vec<SocketAddr>,
    rng: Rng,
    queue: BTreeMap<(u64, u64), Arrival>,
    sent: u64,
    streams: BTreeMap<End, End>,
    accepted: u64,
}

impl Net {
    /// Two endpoints, A at 192.0.2.1 and B at 192.0.2.2, each on UDP and TCP 5060 and TLS 5061.
    pub fn new(seed: u64) -> Self {
        let mut net = Self::empty(seed);
        net.add("192.0.2.1", |_| {});
        net.add("192.0.2.2", |_| {});
        net
    }

    pub fn empty(seed: u64) -> Self {
        Self {
            now: Now::new(1_000_000_000, 1_700_000_000_000),
            nodes: Vec::new(),
            weather: CALM,
            mail: Vec::new(),
            filter: None,
            segment: None,
            refusing: Vec::new(),
            black_holes: Vec::new(),
            unreachable: Vec::new(),
            rng: Rng::from_u64(seed),
            queue: BTreeMap::new(),
            sent: 0,
            streams: BTreeMap::new(),
            accepted: 0,
        }
    }

    pub fn add(&mut self, ip: &'static str, adjust: impl FnOnce(&mut Config)) -> usize {
        let mut config = Config::new(locals(ip));
        adjust(&mut config);
        let endpoint = Endpoint::new(config, self.rng.fork());
        let (events, effects, names) = (Vec::new(), Vec::new(), HashMap::new());
        self.nodes.push(Node { endpoint, ip, events, effects, names, app: None, hang_up: None, wake: None });
        self.nodes.len() - 1
    }

    /// Calls into an endpoint, and carries out what it then wants.
    pub fn with<R>(&mut self, node: usize, f: impl FnOnce(&mut Endpoint, Now) -> R) -> R {
        let result = f(&mut self.nodes[node].endpoint, self.now);
        self.drain(node);
        result
    }

    pub fn input(&mut self, node: usize, input: Input) {
        self.with(node, |endpoint, now| endpoint.handle(input, now));
    }

    fn drain(&mut self, node: usize) {
        loop {
            match self.nodes[node].endpoint.poll() {
                Output::Effect(effect) => {
                    self.nodes[node].effects.push(effect.clone());
                    self.carry_out(node, effect);
                }
                Output::Event(event) => self.tell(node, event),
                Output::Timeout(at) => {
                    self.nodes[node].wake = at;
                    return;
                }
            }
        }
    }

    fn tell(&mut self, node: usize, event: Event) {
        if let Some(mut app) = self.nodes[node].app.take() {
            app(&mut self.nodes[node].endpoint, &event, self.now);
            self.nodes[node].app = Some(app);
        }
        if let Some((session, after_ms)) = self.nodes[node].hang_up.and_then(|hang_up| hang_up(&event)) {
            self.at(after_ms, Arrival::HangUp(node, session));
        }
        self.nodes[node].events.push(event);
    }

    fn at(&mut self, after_ms: u64, arrival: Arrival) {
        self.sent += 1;
        self.queue.insert((self.now.after(ms(after_ms)), self.sent), arrival);
    }

    fn carry_out(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Transmit { to, bytes, .. } => {
                let from = address(self.nodes[node].ip, Transport::Udp);
                self.datagram(from, to, bytes);
            }
            Effect::Open { flow, transport, peer, .. } => self.open(End(node, flow), transport, peer),
            Effect::Write { flow, bytes } => self.write(End(node, flow), &bytes),
            Effect::Close { flow } => self.close(End(node, flow)),
            Effect::Resolve { query, host, .. } => {
                let addresses = self.nodes[node].names.get(&host).cloned().unwrap_or_default();
                self.at(1, Arrival::Node(node, Input::Resolved { query, addresses }));
            }
        }
    }

    /// A datagram into the weather.
    pub fn datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        if self.unreachable.contains(&to) {
            if let Some(node) = self.node_at(from) {
                let local = LocalId(0);
                self.at(1, Arrival::Node(node, Input::Unreachable { local, to }));
            }
            return;
        }
        let copies = 1 + u64::from(self.rng.chance(self.weather.duplicates));
        for _ in 0..copies {
            if !self.rng.chance(self.weather.loss) {
                let (least, most) = self.weather.delay;
                let delay = least + self.rng.below(most - least + 1);
                self.at(delay, Arrival::Datagram { from, to, bytes: bytes.clone() });
            }
        }
    }

    /// A datagram of the test's own.
    pub fn send(&mut self, from: &str, to: usize, text: &str) {
        let to = address(self.nodes[to].ip, Transport::Udp);
        self.datagram(from.parse().unwrap(), to, Bytes::from(text.replace('\n', "\r\n")));
    }

    fn node_at(&self, addr: SocketAddr) -> Option<usize> {
        self.nodes.iter().position(|node| node.ip.parse() == Ok(addr.ip()))
    }

    fn open(&mut self, end: End, transport: Transport, peer: SocketAddr) {
        let refused = self.refusing.contains(&peer);
        if self.black_holes.contains(&peer) {
            return;
        }
        let Some(other) = self.node_at(peer).filter(|_| !refused) else {
            let reason = "refused".to_owned();
            return self.at(10, Arrival::Node(end.0, Input::Closed { flow: end.1, reason }));
        };
        self.accepted += 1;
        let flow = FlowId(2 * self.accepted + 1);
        let local = LocalId(if transport == Transport::Tcp { 1 } else { 2 });
        let from = SocketAddr::new(self.nodes[end.0].ip.parse().unwrap(), 40_000 + self.accepted as u16);
        self.streams.insert(end, End(other, flow));
        self.streams.insert(End(other, flow), end);
        self.at(10, Arrival::Node(other, Input::Accepted { flow, local, peer: from }));
        self.at(20, Arrival::Node(end.0, Input::Opened { flow: end.1, local_addr: from }));
    }

    /// Bytes on a stream, cut as the test wants.
    fn write(&mut self, end: End, bytes: &Bytes) {
        let Some(End(node, flow)) = self.streams.get(&end).copied() else { return };
        for piece in bytes.chunks(self.segment.unwrap_or(bytes.len()).max(1)) {
            let bytes = Bytes::copy_from_slice(piece);
            self.at(10, Arrival::Node(node, Input::Received { flow, bytes }));
        }
    }

    fn close(&mut self, end: End) {
        if let Some(other) = self.streams.remove(&end) {
            self.streams.remove(&other);
            self.at(10, Arrival::Node(other.0, Input::Closed { flow: other.1, reason: "closed by peer".to_owned() }));
        }
    }

    /// Cuts every stream, both ends told.
    pub fn reset_streams(&mut self) {
        for (End(node, flow), _) in std::mem::take(&mut self.streams) {
            self.input(node, Input::Closed { flow, reason: "reset".to_owned() });
        }
    }

    /// One arrival or one wake; false where nothing is left to come by `until`.
    pub fn step(&mut self, until: u64) -> bool {
        let arrival = self.queue.keys().next().map(|(at, _)| *at);
        let wake = self.nodes.iter().enumerate().filter_map(|(node, n)| n.wake.map(|at| (at, node))).min();
        let next = arrival.into_iter().chain(wake.map(|(at, _)| at)).min();
        let Some(next) = next.filter(|at| *at <= until) else { return false };
        if next > self.now.mono {
            self.now = self.now.plus(Duration::from_nanos(next - self.now.mono));
        }
        if arrival == Some(next) {
            let (_, arrival) = self.queue.pop_first().unwrap();
            self.arrive(arrival);
        } else if let Some((_, node)) = wake {
            self.input(node, Input::Timeout);
        }
        true
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Node(node, input) => self.input(node, input),
            Arrival::HangUp(node, session) => self.with(node, |e, now| e.hangup(session, Vec::new(), now)),
            Arrival::Datagram { from, to, bytes } => {
                if let Some(filter) = &mut self.filter
                    && let Ok(message) = Message::parse(bytes.clone())
                    && !filter(from, to, &message)
                {
                    return;
                }
                match self.node_at(to).filter(|_| to.port() == 5060) {
                    Some(node) => self.input(node, Input::Datagram { local: LocalId(0), from, bytes }),
                    None => self.mail.push((from, to, Message::parse(bytes).expect("we write what we can read"))),
                }
            }
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now.after(time);
        while self.step(until) {}
        if until > self.now.mono {
            self.now = self.now.plus(Duration::from_nanos(until - self.now.mono));
        }
    }

    /// Runs until something is so, for ten virtual minutes at most.
    #[track_caller]
    pub fn run_until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let until = self.now.after(secs(600));
        while !is_so(self) {
            assert!(self.step(until), "never: {what}");
        }
    }

    /// Nothing is left of anything, 64·T1 after the end.
    #[track_caller]
    pub fn assert_at_rest(&mut self) {
        self.run_for(PATIENCE + ms(1));
        for node in &self.nodes {
            assert_eq!(node.endpoint.load(), Load::default(), "{}", node.ip);
        }
    }

    /// Has B answer every call: 180 at once, 200 after `ring`.
    pub fn auto_answer(&mut self, node: usize) {
        self.nodes[node].app = Some(Box::new(|endpoint, event, now| {
            if let Event::Incoming { session, .. } = event {
                endpoint.progress(*session, 180.into_status(), Vec::new(), None, now);
                endpoint.accept(*session, Vec::new(), Some(sdp()), now);
            }
        }));
    }

    /// What has happened until now is forgotten, and whoever uses an endpoint leaves it.
    pub fn forget(&mut self) {
        for node in &mut self.nodes {
            node.events.clear();
            node.effects.clear();
            node.app = None;
        }
    }

    /// Has a node answer each re-INVITE, UPDATE and PRACK that comes with this.
    pub fn auto_respond(&mut self, node: usize, status: u16, body: Option<(String, Bytes)>) {
        self.nodes[node].app = Some(Box::new(move |endpoint, event, now| {
            if let Event::Reoffer { session, id, .. } = event {
                endpoint.respond(*session, *id, status.into_status(), body.clone(), now);
            }
        }));
    }

    pub fn place(&mut self, from: usize, invite: Invite) -> SessionId {
        self.with(from, |endpoint, now| endpoint.invite(invite, now)).unwrap()
    }

    /// The ladder lines of an endpoint: `> INVITE sip:…`, `< SIP/2.0 200 OK`; retransmissions end in `*`.
    pub fn ladder(&self, node: usize) -> Vec<String> {
        self.nodes[node].ladder().iter().map(|entry| line(entry)).collect()
    }
}

fn line(entry: &LadderEntry) -> String {
    let arrow = if entry.sent { '>' } else { '<' };
    let short = entry.line.strip_prefix("SIP/2.0 ").map_or_else(
        || entry.line.split(' ').next().unwrap_or_default().to_owned(),
        |status| {
            format!("{} {}", status.get(..3).unwrap_or_default(), entry.cseq.split(' ').next_back().unwrap_or_default())
        },
    );
    format!("{arrow} {short}{}", if entry.retransmission { " *" } else { "" })
}

impl Node {
    pub fn ladder(&self) -> Vec<&LadderEntry> {
        self.events
            .iter()
            .filter_map(|event| if let Event::Ladder { entry, .. } = event { Some(entry) } else { None })
            .collect()
    }

    /// Everything but the ladder, in a word each.
    pub fn story(&self) -> Vec<String> {
        self.events.iter().filter(|event| !matches!(event, Event::Ladder { .. })).map(word).collect()
    }

    pub fn incoming(&self) -> Option<SessionId> {
        self.events
            .iter()
            .find_map(|event| if let Event::Incoming { session, .. } = event { Some(*session) } else { None })
    }

    /// The messages written to the wire, datagrams and streams alike.
    pub fn sent(&self) -> Vec<Message> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Transmit { bytes, .. } | Effect::Write { bytes, .. } => Message::parse(bytes.clone()).ok(),
                _ => None,
            })
            .collect()
    }

    /// The sent requests of a method.
    pub fn sent_requests(&self, method: &str) -> Vec<Message> {
        self.sent().into_iter().filter(|m| m.is_request() && m.method().as_str() == method).collect()
    }
}

pub fn word(event: &Event) -> String {
    use sip_core::endpoint::Failure;
    let code = |message: &Message| message.status().map_or(0, |status| status.code());
    let why = |failure: &Failure| match failure {
        Failure::Response(response) => format!("{}", code(response)),
        Failure::Auth(why, _) => format!("auth: {why:?}"),
        Failure::Transport(_) => "transport".to_owned(),
        other => format!("{other:?}"),
    };
    match event {
        Event::Arrived { message, .. } => format!("arrived {}", message.method()),
        Event::FlowClosed { .. } => "flow closed".to_owned(),
        Event::Incoming { .. } => "incoming".to_owned(),
        Event::Progress { response, .. } => format!("progress {}", code(response)),
        Event::Answered { response, .. } => format!("answered {}", code(response)),
        Event::Failed { failure, .. } => format!("failed {}", why(failure)),
        Event::Confirmed { .. } => "confirmed".to_owned(),
        Event::Reoffer { request, .. } => format!("reoffer {}", request.method()),
        Event::ReofferDone { result: Ok(response), .. } => format!("reoffered {}", code(response)),
        Event::ReofferDone { result: Err(failure), .. } => format!("reoffer failed {}", why(failure)),
        Event::ReofferAck { .. } => "reoffer acked".to_owned(),
        Event::Refreshed { response, .. } => format!("refreshed {}", code(response)),
        Event::ProgressAcked { .. } => "progress acked".to_owned(),
        Event::Request { request, .. } => format!("request {}", request.method()),
        Event::RequestDone { result: Ok(response), .. } => format!("request done {}", code(response)),
        Event::RequestDone { result: Err(failure), .. } => format!("request failed {}", why(failure)),
        Event::Refer { refer_to, .. } => format!("refer {}", refer_to.uri),
        Event::ReferProgress { status, terminated, .. } => {
            format!("refer progress {status}{}", if *terminated { " last" } else { "" })
        }
        Event::ReferDone { result: Ok(response), .. } => format!("refer done {}", code(response)),
        Event::ReferDone { result: Err(failure), .. } => format!("refer failed {}", why(failure)),
        Event::Ended { by: EndedBy::Lost(loss), .. } => format!("ended Lost {loss:?}"),
        Event::Ended { by, .. } => format!("ended {by:?}"),
        Event::Reply { result: Ok(response), .. } => format!("reply {}", code(response)),
        Event::Reply { result: Err(failure), .. } => format!("reply failed {}", why(failure)),
        Event::Ladder { entry, .. } => line(entry),
    }
}

/// `180.into_status()`.
pub trait IntoStatus {
    fn into_status(self) -> sip_core::message::StatusCode;
}

impl IntoStatus for u16 {
    fn into_status(self) -> sip_core::message::StatusCode {
        sip_core::message::StatusCode::new(self).unwrap()
    }
}

pub fn address(ip: &str, transport: Transport) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), transport.default_port())
}

pub fn locals(ip: &str) -> Vec<Local> {
    let local = |id, transport| {
        let addr = address(ip, transport);
        Local { id: LocalId(id), transport, bound: addr, advertised: addr, inside: addr }
    };
    vec![local(0, Transport::Udp), local(1, Transport::Tcp), local(2, Transport::Tls)]
}

pub fn sdp() -> (String, Bytes) {
    let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 10000 RTP/AVP 0\r\n";
    ("application/sdp".to_owned(), Bytes::from_static(text.as_bytes()))
}

pub fn hop(host: &str, transport: Transport) -> NextHop {
    NextHop::new(host, None, transport)
}

/// A call to B's address over UDP.
pub fn invite_b() -> Invite {
    invite_to(hop("192.0.2.2", Transport::Udp))
}

pub fn invite_to(next_hop: NextHop) -> Invite {
    Invite {
        uri: "sip:+15550002@example.com".parse().unwrap(),
        next_hop,
        from: NameAddr::new("sip:+15550001@192.0.2.1".parse().unwrap()),
        to: NameAddr::new("sip:+15550002@example.com".parse().unwrap()),
        contact_user: Some("+15550001".to_owned()),
        call_id: None,
        max_forwards: sip_core::endpoint::MAX_FORWARDS,
        routes: Vec::new(),
        headers: vec![("X-Test".to_owned(), "yes".to_owned())],
        body: Some(sdp()),
        credentials: None,
        try_timeout: None,
        ring_timeout: None,
    }
}

/// A calls B, B answers, and both forget what that took.
pub fn talking(net: &mut Net) -> (SessionId, SessionId) {
    net.auto_answer(B);
    let a = net.place(A, invite_b());
    net.run_for(secs(1));
    let b = net.nodes[B].incoming().unwrap();
    net.forget();
    (a, b)
}

/// A network of A and B, each with its own configuration.
pub fn two(seed: u64, adjust_a: impl FnOnce(&mut Config), adjust_b: impl FnOnce(&mut Config)) -> Net {
    let mut net = Net::empty(seed);
    net.add("192.0.2.1", adjust_a);
    net.add("192.0.2.2", adjust_b);
    net
}

/// The test, as every address without an endpoint, answers each request that has come since with what `f` says.
pub fn answer_mail(net: &mut Net, seen: &mut usize, f: impl Fn(&Message) -> Option<String>) {
    while *seen < net.mail.len() {
        let (from, to, message) = net.mail[*seen].clone();
        *seen += 1;
        if message.is_request()
            && let Some(head) = f(&message)
        {
            let response = response(&message, &head);
            let target = net.nodes.iter().position(|node| node.ip.parse() == Ok(from.ip())).unwrap();
            net.send(&to.to_string(), target, &response);
        }
    }
}

/// `head` is the status line and what else it has; the rest is the request's.
pub fn response(request: &Message, head: &str) -> String {
    let copied: String = [Name::Via, Name::From, Name::CallId, Name::CSeq]
        .into_iter()
        .flat_map(|name| {
            request
                .lines(name)
                .map(move |value| format!("{name}: {}\n", String::from_utf8_lossy(&value)))
                .collect::<Vec<_>>()
        })
        .collect();
    let to = request.header_str(Name::To).unwrap();
    let tag = if to.contains("tag=") || head.contains("\nTo:") { "" } else { ";tag=raw" };
    format!("SIP/2.0 {head}\n{copied}To: {to}{tag}\nContact: <sip:raw@192.0.2.50>\nContent-Length: 0\n\n")
}
