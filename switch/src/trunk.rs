//! The trunks at work: permits given and taken back, failed ones at rest, registrations and OPTIONS under way.

use crate::call::leg::Hear;
use crate::desk::{Desk, Timer};
use base::{Now, Rng};
use bytes::Bytes;
use carrier::registration::{Input as Registering, Output as Register};
use carrier::{Denied, Number, Permit, Permits, Registration, RegistrationState, Rest, Trunk, TrunkConfig, TrunkError};
use serde::Serialize;
use sip_core::auth::Credentials;
use sip_core::endpoint::{Failure, Invite, MAX_FORWARDS, NextHop, OutOfDialog, RequestId};
use sip_core::header::NameAddr;
use sip_core::message::{Message, Method, Name};
use sip_core::sdp::AudioCodec;
use sip_core::uri::Host;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

const SDP: &str = sip_core::sdp::CONTENT_TYPE;

/// The header that proves who calls (RFC 8224 §4).
pub(crate) const IDENTITY: &str = "Identity";

/// There is no permit now; [`Trunks::opens_at`] says when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPermit;

/// Leave to place one call over one trunk: a channel of the trunk, and a place in the whole switch's rate.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The trunk.
    pub(crate) trunk: usize,
    channel: Permit,
    rate: Permit,
}

/// How a trunk is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrunkState {
    /// Nothing has been asked of it yet.
    Unknown,
    /// It answers.
    Up,
    /// Its path has failed and it rests.
    Down,
}

/// A trunk, as `GET /v1/trunks` and `/health` show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrunkStatus {
    /// Its name.
    pub name: String,
    /// Its profile.
    pub profile: carrier::Profile,
    /// Where its requests go.
    pub uri: String,
    /// How it is known to be.
    pub state: TrunkState,
    /// Its registration, where it registers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
    /// Calls that hold a permit of it.
    pub calls: u32,
    /// The most calls a second.
    pub max_cps: u32,
    /// The most calls at once.
    pub max_calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Register,
    Ping,
}

struct Line {
    trunk: Trunk,
    permits: Permits,
    rest: Rest,
    state: TrunkState,
    registration: Option<Registration>,
    /// The Call-ID of its REGISTERs and the number of the last (RFC 3261 §10.2).
    register_call_id: String,
    register_cseq: u32,
}

/// All trunks, in the order of the configuration.
pub(crate) struct Trunks {
    lines: Vec<Line>,
    rate: Permits,
    requests: HashMap<RequestId, (usize, Purpose)>,
}

impl Trunks {
    pub(crate) fn new(configs: &[TrunkConfig], calls_per_second: u32, rng: &mut Rng) -> Result<Self, TrunkError> {
        let line = |config: &TrunkConfig| {
            let trunk = Trunk::new(config.clone())?;
            Ok(Line {
                permits: trunk.permits(),
                rest: Rest::default(),
                state: TrunkState::Unknown,
                registration: trunk.registration(rng.fork()),
                register_call_id: rng.token(24),
                register_cseq: 0,
                trunk,
            })
        };
        let lines = configs.iter().map(line).collect::<Result<_, TrunkError>>()?;
        Ok(Self { lines, rate: Permits::new(calls_per_second, u32::MAX), requests: HashMap::new() })
    }

    /// The trunks that may carry a call, in order: the one that was asked for, or all.
    pub(crate) fn candidates(&self, only: Option<&str>) -> VecDeque<usize> {
        let fits = |line: &Line| only.is_none_or(|name| line.trunk.name().as_str() == name);
        self.lines.iter().enumerate().filter(|(_, line)| fits(line)).map(|(index, _)| index).collect()
    }

    /// Takes a permit of the first candidate that has one; trunks at rest come after those that are well.
    pub(crate) fn permit(&mut self, candidates: &VecDeque<usize>, now: Now) -> Result<Grant, NoPermit> {
        self.rate.ready(now).map_err(|_| NoPermit)?;
        let mut order: Vec<usize> = candidates.iter().copied().collect();
        order.sort_by_key(|index| self.lines[*index].rest.until(now).is_some());
        let trunk = order.into_iter().find(|index| self.lines[*index].permits.ready(now).is_ok()).ok_or(NoPermit)?;
        let channel = self.lines[trunk].permits.take(now).map_err(|_| NoPermit)?;
        match self.rate.take(now) {
            Ok(rate) => Ok(Grant { trunk, channel, rate }),
            Err(_) => {
                self.lines[trunk].permits.release(channel);
                Err(NoPermit)
            }
        }
    }

    /// When some trunk may take a call that it does not take now (monotonic nanoseconds); `None`: when a call ends.
    pub(crate) fn opens_at(&self, now: Now) -> Option<u64> {
        if let Err(Denied::RetryAt(at)) = self.rate.ready(now) {
            return Some(at);
        }
        let later = |line: &Line| match line.permits.ready(now) {
            Err(Denied::RetryAt(at)) => Some(at),
            Ok(()) | Err(Denied::AllInUse) => None,
        };
        self.lines.iter().filter_map(later).min()
    }

    /// Gives a permit back.
    pub(crate) fn release(&mut self, grant: Grant) {
        self.lines[grant.trunk].permits.release(grant.channel);
        self.rate.release(grant.rate);
    }

    /// True where no trunk could take any call now: the rest of a queue need not be asked.
    pub(crate) fn all_closed(&self, now: Now) -> bool {
        self.rate.ready(now).is_err() || self.lines.iter().all(|line| line.permits.ready(now).is_err())
    }

    /// Its name.
    pub(crate) fn name(&self, trunk: usize) -> &str {
        self.lines[trunk].trunk.name().as_str()
    }

    /// The trunk whose address has this host.
    pub(crate) fn at(&self, host: &Host) -> Option<String> {
        let fits = |line: &&Line| line.trunk.config().uri.host() == Some(host);
        self.lines.iter().find(fits).map(|line| line.trunk.name().to_string())
    }

    /// Whether its audio is encrypted.
    pub(crate) fn encrypts(&self, trunk: usize) -> bool {
        self.lines[trunk].trunk.config().srtp
    }

    /// Its address, where the configuration names one and no name.
    pub(crate) fn literal_address(&self, trunk: usize) -> Option<IpAddr> {
        self.lines[trunk].trunk.config().uri.host().and_then(Host::ip)
    }

    /// The codecs that it is offered, the best first.
    pub(crate) fn offered_codecs(&self, trunk: usize) -> &[AudioCodec] {
        self.lines[trunk].trunk.offered_codecs()
    }

    /// The codecs that are taken from it.
    pub(crate) fn accepted_codecs(&self, trunk: usize) -> &[AudioCodec] {
        self.lines[trunk].trunk.accepted_codecs()
    }

    /// Whose RTP is heard over it.
    pub(crate) fn hear(&self, trunk: usize) -> Hear {
        match self.lines[trunk].trunk.media_from() {
            Some(ranges) => Hear::Ranges(ranges.clone()),
            None => Hear::NamedHost,
        }
    }

    /// An INVITE as this trunk wants it (TWILIO.md §1). `identity`: what the caller came with, whose own number it shows.
    pub(crate) fn invite(&self, trunk: usize, from: &Number, to: &Number, identity: &[String], offer: Bytes) -> Invite {
        let trunk = &self.lines[trunk].trunk;
        let passed = identity.iter().filter(|_| trunk.config().pass_identity);
        let passed = passed.map(|value| (IDENTITY.to_owned(), value.clone()));
        Invite {
            uri: trunk.request_uri(to),
            next_hop: next_hop(trunk),
            from: trunk.from_header(from),
            to: trunk.to_header(to),
            contact_user: Some(from.as_str().to_owned()),
            call_id: None,
            max_forwards: MAX_FORWARDS,
            routes: Vec::new(),
            headers: trunk.extra_headers(from).into_iter().chain(passed).collect(),
            body: Some((SDP.to_owned(), offer)),
            credentials: credentials(trunk),
            try_timeout: Some(trunk.try_timeout()),
            ring_timeout: None,
        }
    }

    /// The trunk over which a call comes in, by the packet's own source and what the carrier says of itself.
    pub(crate) fn of_caller(&self, source: IpAddr, request: &Message) -> Option<usize> {
        let account = request.header_named(carrier::X_TWILIO_ACCOUNT_SID);
        let account = account.as_deref().map(String::from_utf8_lossy);
        self.lines.iter().position(|line| line.trunk.admits(source, account.as_deref()).is_ok())
    }

    /// A call over it came to a final answer, or to none.
    pub(crate) fn note(&mut self, trunk: usize, path_failed: Option<Option<u32>>, now: Now) {
        let line = &mut self.lines[trunk];
        match path_failed {
            Some(retry_after) => {
                line.rest.failed(retry_after, now);
                line.state = TrunkState::Down;
            }
            None => {
                line.rest.answered();
                line.state = TrunkState::Up;
            }
        }
    }

    /// Timers that trunks keep while nothing happens.
    pub(crate) fn standing_timers(&self, timers: &base::Timers<Timer>) -> usize {
        (0..self.lines.len())
            .flat_map(|index| [Timer::Register(index), Timer::Ping(index)])
            .filter(|timer| timers.get(*timer).is_some())
            .count()
    }

    /// Requests that are not answered yet.
    pub(crate) fn open_requests(&self) -> usize {
        self.requests.len()
    }

    /// How each is.
    pub(crate) fn status(&self) -> Vec<TrunkStatus> {
        self.lines.iter().map(Line::status).collect()
    }
}

impl Line {
    fn status(&self) -> TrunkStatus {
        let config = self.trunk.config();
        TrunkStatus {
            name: config.name.to_string(),
            profile: config.profile,
            uri: config.uri.to_string(),
            state: self.state,
            registration: self.registration.as_ref().map(|registration| registration.state().to_string()),
            calls: self.permits.live(),
            max_cps: config.max_cps,
            max_calls: config.max_calls,
        }
    }
}

fn next_hop(trunk: &Trunk) -> NextHop {
    let hop = NextHop::new(trunk.host().to_string(), trunk.port(), trunk.transport());
    // A trunk whose URI names a transport is pinned to it.
    if trunk.names_transport() { hop } else { hop.any_transport() }
}

fn credentials(trunk: &Trunk) -> Option<Credentials> {
    let (username, password) = trunk.credentials()?;
    Some(Credentials { username: username.to_owned(), password: password.expose().into(), realm: None })
}

impl Desk {
    /// Begins what trunks do by themselves: registration and OPTIONS.
    pub(crate) fn start_trunks(&mut self, now: Now) {
        for index in 0..self.trunks.lines.len() {
            self.registering(index, Registering::Start, now);
            if self.trunks.lines[index].trunk.options_interval().is_some() {
                self.timers.set(Timer::Ping(index), now.mono);
            }
        }
    }

    /// Ends it: a registration is withdrawn (RFC 3261 §10.2.2).
    pub(crate) fn stop_trunks(&mut self, now: Now) {
        for index in 0..self.trunks.lines.len() {
            self.registering(index, Registering::Stop, now);
            self.timers.stop(Timer::Ping(index));
        }
    }

    pub(crate) fn on_register_timer(&mut self, index: usize, now: Now) {
        self.registering(index, Registering::Timeout, now);
    }

    /// Asks a trunk whether it is there.
    pub(crate) fn on_ping_timer(&mut self, index: usize, now: Now) {
        let line = &self.trunks.lines[index];
        let Some(every) = line.trunk.options_interval() else { return };
        self.timers.set(Timer::Ping(index), now.after(every));
        let uri = line.trunk.registrar().clone();
        let us = NameAddr::new(uri.clone());
        self.ask(index, Purpose::Ping, Method::Options, uri, us, Vec::new(), now);
    }

    fn registering(&mut self, index: usize, input: Registering, now: Now) {
        let Some(registration) = &mut self.trunks.lines[index].registration else { return };
        registration.handle(input, now);
        loop {
            let Some(registration) = &mut self.trunks.lines[index].registration else { return };
            match registration.poll() {
                Register::SendRegister { expires } => self.send_register(index, expires, now),
                Register::StateChanged(state) => self.registration_changed(index, &state),
                Register::Timeout(at) => {
                    match at {
                        Some(at) => self.timers.set(Timer::Register(index), at),
                        None => self.timers.stop(Timer::Register(index)),
                    }
                    return;
                }
            }
        }
    }

    fn registration_changed(&mut self, index: usize, state: &RegistrationState) {
        tracing::info!(trunk = self.trunks.name(index), %state, "registration");
    }

    fn send_register(&mut self, index: usize, expires: u32, now: Now) {
        let line = &self.trunks.lines[index];
        let Some(us) = line.trunk.address_of_record() else { return };
        let uri = line.trunk.registrar().clone();
        self.ask(
            index,
            Purpose::Register,
            Method::Register,
            uri,
            us,
            vec![("Expires".to_owned(), expires.to_string())],
            now,
        );
    }

    #[expect(clippy::too_many_arguments, reason = "a request is that many things, and this is its one place")]
    fn ask(
        &mut self,
        index: usize,
        purpose: Purpose,
        method: Method,
        uri: sip_core::uri::Uri,
        us: NameAddr,
        headers: Vec<(String, String)>,
        now: Now,
    ) {
        let line = &mut self.trunks.lines[index];
        let registers = purpose == Purpose::Register;
        if registers {
            line.register_cseq += 1;
        }
        let asked = OutOfDialog {
            method,
            uri,
            next_hop: next_hop(&line.trunk),
            from: us.clone(),
            to: us,
            call_id: registers.then(|| line.register_call_id.clone()),
            cseq: registers.then_some(line.register_cseq),
            headers,
            body: None,
            credentials: credentials(&line.trunk),
        };
        match self.endpoint.request(asked, now) {
            Ok(request) => {
                self.trunks.requests.insert(request, (index, purpose));
            }
            Err(error) if registers => {
                tracing::warn!(trunk = self.trunks.name(index), %error, "a REGISTER could not be sent");
                self.registering(index, Registering::TransportFailed, now);
            }
            Err(error) => tracing::warn!(trunk = self.trunks.name(index), %error, "an OPTIONS could not be sent"),
        }
    }

    /// The end of a request outside of calls.
    pub(crate) fn on_reply(&mut self, request: RequestId, cseq: u32, result: Result<Message, Failure>, now: Now) {
        let Some((index, purpose)) = self.trunks.requests.remove(&request) else {
            return self.on_message_done(request, &result, now);
        };
        let failed = match &result {
            Ok(response) | Err(Failure::Response(response)) | Err(Failure::Auth(_, Some(response))) => {
                path_failure(response)
            }
            Err(_) => Some(None),
        };
        self.trunks.note(index, failed, now);
        if purpose == Purpose::Register {
            let line = &mut self.trunks.lines[index];
            line.register_cseq = line.register_cseq.max(cseq);
            self.registering(index, registered(result), now);
        }
    }
}

/// Whether a response says that the path to the trunk is broken, and for how long: 503 does.
pub(crate) fn path_failure(response: &Message) -> Option<Option<u32>> {
    let broken = response.status().is_some_and(|status| status.code() == 503);
    broken.then(|| seconds(response, Name::RetryAfter))
}

fn seconds(response: &Message, name: Name) -> Option<u32> {
    let value = response.header_str(name)?;
    value.split([' ', ';', '(']).next().and_then(|digits| digits.parse().ok())
}

/// A reply to a REGISTER in the registration's own words.
fn registered(result: Result<Message, Failure>) -> Registering {
    match result {
        Ok(response) | Err(Failure::Response(response)) | Err(Failure::Auth(_, Some(response))) => Registering::Reply {
            status: response.status().map_or(500, |status| status.code()),
            expires: expires(&response),
            min_expires: seconds(&response, Name::MinExpires),
            retry_after: seconds(&response, Name::RetryAfter),
        },
        Err(_) => Registering::TransportFailed,
    }
}

/// For how long the registrar keeps our binding: its Contact's `expires`, or Expires (RFC 3261 §10.2.4).
fn expires(response: &Message) -> Option<u32> {
    let of_contact = response.contacts().ok().and_then(|contacts| {
        contacts.iter().find_map(|contact| contact.params.get("expires").and_then(|value| value.parse().ok()))
    });
    of_contact.or_else(|| response.expires().ok().flatten())
}
