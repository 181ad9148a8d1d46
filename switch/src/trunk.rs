//! The trunks at work: permits given and taken back, failed ones at rest. What they do by themselves, registration and
//! OPTIONS, is in `duty`.
//!
//! A trunk has a number that no other ever has, so that a call that waits for one which is taken away meanwhile finds
//! nobody in its place. One that is taken away stays for as long as calls hold its permits, and for what it has asked.

mod duty;

use crate::call::leg::Hear;
use crate::desk::Timer;
use crate::provision::Provisioned;
use base::{Now, Rng, millis};
use bytes::Bytes;
use carrier::{Denied, Number, Permit, Permits, Registration, Rest, Trunk, TrunkConfig, WhenFull};
use serde::Serialize;
use sip_core::endpoint::{Invite, MAX_FORWARDS, RequestId};
use sip_core::message::{Message, Name};
use sip_core::sdp::AudioCodec;
use sip_core::uri::Host;
use std::collections::{BTreeMap, HashMap, VecDeque};
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
    /// Until when it is tried last, because its path has failed (milliseconds since the Unix epoch); for longer where it
    /// has yet to prove well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<u64>,
    /// When it takes the next call (milliseconds since the Unix epoch), where it takes none now for the calls of the last
    /// second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<u64>,
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
    /// It has answered an OPTIONS: then its silence to one says something.
    answers_options: bool,
    registration: Option<Registration>,
    /// The Call-ID of its REGISTERs and the number of the last (RFC 3261 §10.2).
    register_call_id: String,
    register_cseq: u32,
}

/// All trunks, by number.
pub(crate) struct Trunks {
    lines: BTreeMap<usize, Line>,
    /// Those that calls may take, in the order of the configuration.
    order: Vec<usize>,
    next: usize,
    rate: Permits,
    requests: HashMap<RequestId, (usize, Purpose)>,
}

impl Trunks {
    /// `succeeds`: see [`Config`](crate::Config).
    pub(crate) fn new(provisioned: &Provisioned, succeeds: bool, rng: &mut Rng, now: Now) -> Self {
        let rate = Permits::new(provisioned.calls_per_second, u32::MAX);
        let (lines, order, requests) = (BTreeMap::new(), Vec::new(), HashMap::new());
        let mut trunks = Self { lines, order, next: 0, rate, requests };
        for trunk in &provisioned.trunks {
            let number = trunks.add(trunk.clone(), rng);
            trunks.order.push(number);
            if succeeds {
                trunks.spend(number, now);
            }
        }
        trunks
    }

    fn add(&mut self, trunk: Trunk, rng: &mut Rng) -> usize {
        let (number, line) = (self.next, Line::new(trunk, rng));
        self.next += 1;
        self.lines.insert(number, line);
        number
    }

    /// Counts the last second of a trunk as full.
    fn spend(&mut self, number: usize, now: Now) {
        if let Some(line) = self.lines.get_mut(&number) {
            line.permits.spend(now);
        }
    }

    /// The trunks in use, in order.
    fn used(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.order.iter().filter_map(|number| Some((*number, self.lines.get(number)?)))
    }

    /// The trunks that may carry a call to this number, in the order in which they are tried: of all, of the group or of
    /// the one trunk that was asked for.
    pub(crate) fn candidates(&self, to: &Number, only: Option<&str>, rng: &mut Rng) -> VecDeque<usize> {
        let is_named = |line: &Line, name: &str| line.trunk.name().as_str() == name;
        let is_trunk = only.is_some_and(|name| self.used().any(|(_, line)| is_named(line, name)));
        let wanted = |line: &Line| only.is_none_or(|name| line.config().answers_to(name, is_trunk));
        let fit = |(number, line): (usize, &Line)| Some((number, line.config().route.fit(to)?));
        carrier::in_order(self.used().filter(|(_, line)| wanted(line)).filter_map(fit).collect(), rng).into()
    }

    /// Why there is no candidate for a call.
    pub(crate) fn none_for(&self, to: &Number) -> String {
        if self.order.is_empty() {
            return "no trunk is configured".to_owned();
        }
        format!("no trunk takes {to}: the prefixes of none begin it, or none is of the group asked for")
    }

    /// Whether one of these is still there to be tried.
    pub(crate) fn has_one_of(&self, candidates: &VecDeque<usize>) -> bool {
        candidates.iter().any(|number| self.order.contains(number))
    }

    /// Takes a permit of the first candidate that has one, or for which a call waits; trunks at rest come after those that
    /// are well.
    pub(crate) fn permit(&mut self, candidates: &VecDeque<usize>, now: Now) -> Result<Grant, NoPermit> {
        self.rate.ready(now).map_err(|_| NoPermit)?;
        let mut order: Vec<usize> = candidates.iter().copied().filter(|number| self.order.contains(number)).collect();
        let line = |number: &usize| self.lines.get(number);
        order.sort_by_key(|number| line(number).is_some_and(|line| line.is_resting(now)));
        let decides = |number: &usize| {
            line(number)
                .is_some_and(|line| line.permits.ready(now).is_ok() || line.config().route.when_full == WhenFull::Wait)
        };
        let trunk = order.into_iter().find(decides).ok_or(NoPermit)?;
        let permits = self.lines.get_mut(&trunk).map(|line| &mut line.permits).ok_or(NoPermit)?;
        let channel = permits.take(now).map_err(|_| NoPermit)?;
        match self.rate.take(now) {
            Ok(rate) => Ok(Grant { trunk, channel, rate }),
            Err(_) => {
                permits.release(channel);
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
        self.used().filter_map(|(_, line)| later(line)).min()
    }

    /// The number that a trunk means by the user of an address.
    pub(crate) fn read(&self, trunk: usize, user: &str) -> Option<Number> {
        self.lines.get(&trunk)?.config().numbers.read(user)
    }

    /// Gives a permit back.
    pub(crate) fn release(&mut self, grant: Grant) {
        if let Some(line) = self.lines.get_mut(&grant.trunk) {
            line.permits.release(grant.channel);
        }
        self.rate.release(grant.rate);
        self.forget(grant.trunk);
    }

    /// Forgets a trunk that was taken away, once no call holds a permit of it and nothing that it asked is open.
    fn forget(&mut self, number: usize) {
        let is_idle = |line: &Line| line.permits.live() == 0;
        let asks = self.requests.values().any(|(asking, _)| *asking == number);
        if !asks && !self.order.contains(&number) && self.lines.get(&number).is_some_and(is_idle) {
            self.lines.remove(&number);
        }
    }

    /// True where no trunk could take any call now: the rest of a queue need not be asked.
    pub(crate) fn all_closed(&self, now: Now) -> bool {
        self.rate.ready(now).is_err() || self.used().all(|(_, line)| line.permits.ready(now).is_err())
    }

    /// Its name.
    pub(crate) fn name(&self, trunk: usize) -> &str {
        self.lines.get(&trunk).map_or("", |line| line.trunk.name().as_str())
    }

    /// The trunk of this name.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.used().find(|(_, line)| line.trunk.name().as_str() == name).map(|(number, _)| number)
    }

    /// The trunk whose address has this host.
    pub(crate) fn at(&self, host: &Host) -> Option<String> {
        let fits = |(_, line): &(usize, &Line)| line.config().uri.host() == Some(host);
        self.used().find(fits).map(|(_, line)| line.trunk.name().to_string())
    }

    /// Whether its audio is encrypted.
    pub(crate) fn encrypts(&self, trunk: usize) -> bool {
        self.lines.get(&trunk).is_some_and(|line| line.config().srtp)
    }

    /// Its address, where the configuration names one and no name.
    pub(crate) fn literal_address(&self, trunk: usize) -> Option<IpAddr> {
        self.lines.get(&trunk)?.trunk.config().uri.host().and_then(Host::ip)
    }

    /// The codecs that it is offered, the best first.
    pub(crate) fn offered_codecs(&self, trunk: usize) -> &[AudioCodec] {
        self.lines.get(&trunk).map_or(&[], |line| line.trunk.offered_codecs())
    }

    /// The codecs that are taken from it.
    pub(crate) fn accepted_codecs(&self, trunk: usize) -> &[AudioCodec] {
        self.lines.get(&trunk).map_or(&[], |line| line.trunk.accepted_codecs())
    }

    /// Whose RTP is heard over it.
    pub(crate) fn hear(&self, trunk: usize) -> Hear {
        match self.lines.get(&trunk).and_then(|line| line.trunk.media_from()) {
            Some(ranges) => Hear::Ranges(ranges.clone()),
            None => Hear::NamedHost,
        }
    }

    /// An INVITE as this trunk wants it (TWILIO.md §1). `identity`: what the caller came with, whose own number it shows.
    pub(crate) fn invite(
        &self,
        trunk: usize,
        from: &Number,
        to: &Number,
        identity: &[String],
        offer: Bytes,
    ) -> Option<Invite> {
        let trunk = &self.lines.get(&trunk)?.trunk;
        let passed = identity.iter().filter(|_| trunk.config().pass_identity);
        let passed = passed.map(|value| (IDENTITY.to_owned(), value.clone()));
        Some(Invite {
            uri: trunk.request_uri(to),
            next_hop: trunk.next_hop(),
            from: trunk.from_header(from),
            to: trunk.to_header(to),
            contact_user: Some(from.as_str().to_owned()),
            call_id: None,
            max_forwards: MAX_FORWARDS,
            routes: Vec::new(),
            headers: trunk.extra_headers(from).into_iter().chain(passed).collect(),
            body: Some((SDP.to_owned(), offer)),
            credentials: trunk.credentials(),
            try_timeout: Some(trunk.try_timeout()),
            ring_timeout: None,
        })
    }

    /// The trunk over which a call comes in, by the packet's own source and what the carrier says of itself.
    pub(crate) fn of_caller(&self, source: IpAddr, request: &Message) -> Option<usize> {
        let account = request.header_named(carrier::X_TWILIO_ACCOUNT_SID);
        let account = account.as_deref().map(String::from_utf8_lossy);
        self.used().find(|(_, line)| line.trunk.admits(source, account.as_deref()).is_ok()).map(|(number, _)| number)
    }

    /// A call over it came to an answer, whatever it was: the path is well.
    pub(crate) fn answered(&mut self, trunk: usize) {
        if let Some(line) = self.lines.get_mut(&trunk) {
            line.rest.answered();
            line.state = TrunkState::Up;
        }
    }

    /// Whether this final response ends a call over it though another trunk might take it.
    pub(crate) fn is_final(&self, trunk: usize, code: u16) -> bool {
        self.lines.get(&trunk).is_some_and(|line| line.config().route.final_codes.contains(&code))
    }

    /// Timers that trunks keep while nothing happens.
    pub(crate) fn standing_timers(&self, timers: &base::Timers<Timer>) -> usize {
        self.lines
            .keys()
            .flat_map(|number| [Timer::Register(*number), Timer::Ping(*number)])
            .filter(|timer| timers.get(*timer).is_some())
            .count()
    }

    /// Requests that are not answered yet.
    pub(crate) fn open_requests(&self) -> usize {
        self.requests.len()
    }

    /// How each is.
    pub(crate) fn status(&self, now: Now) -> Vec<TrunkStatus> {
        self.used().map(|(_, line)| line.status(now)).collect()
    }
}

impl Line {
    fn new(trunk: Trunk, rng: &mut Rng) -> Self {
        Self {
            permits: trunk.permits(),
            rest: Rest::default(),
            state: TrunkState::Unknown,
            answers_options: false,
            registration: trunk.registration(rng.fork()),
            register_call_id: rng.token(24),
            register_cseq: 0,
            trunk,
        }
    }

    /// Whether it is tried last: its path has failed lately, or has not proved well since.
    fn is_resting(&self, now: Now) -> bool {
        self.rest.until(now).is_some() || (self.state == TrunkState::Down && self.answers_options)
    }

    const fn config(&self) -> &TrunkConfig {
        self.trunk.config()
    }

    fn status(&self, now: Now) -> TrunkStatus {
        let config = self.config();
        let wall = |at: u64| now.wall + at.saturating_sub(now.mono).div_ceil(millis(1));
        let opens_at = match self.permits.ready(now) {
            Err(Denied::RetryAt(at)) => Some(at),
            Ok(()) | Err(Denied::AllInUse) => None,
        };
        TrunkStatus {
            name: config.name.to_string(),
            profile: config.profile,
            uri: config.uri.to_string(),
            state: self.state,
            registration: self.registration.as_ref().map(|registration| registration.state().to_string()),
            rests_until: self.is_resting(now).then(|| wall(self.rest.until(now).unwrap_or(now.mono))),
            opens_at: opens_at.map(wall),
            calls: self.permits.live(),
            max_cps: config.max_cps,
            max_calls: config.max_calls,
        }
    }
}

/// Whether a response says that the path to the trunk is broken, and for how long: 500 and 503 do (FAULTS 5).
pub(crate) fn path_failure(response: &Message) -> Option<Option<u32>> {
    let broken = response.status().is_some_and(|status| [500, 503].contains(&status.code()));
    broken.then(|| seconds(response, Name::RetryAfter))
}

fn seconds(response: &Message, name: Name) -> Option<u32> {
    let value = response.header_str(name)?;
    value.split([' ', ';', '(']).next().and_then(|digits| digits.parse().ok())
}
