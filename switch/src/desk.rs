//! What every call works with: the user agent, the ports, the prompts, the trunks, the timers, and the way out.

use crate::call::Call;
use crate::call::room::{BEEP, BEEP_TONE, Rooms};
use crate::config::{Config, MediaAddress};
use crate::door::Proved;
use crate::letter::Letter;
use crate::provision::Provisioned;
use crate::registrar::{KeptLocation, Registrar};
use crate::route::Plan;
use crate::tally::Tally;
use crate::trunk::Trunks;
use crate::{CallSid, ConfigError, Output};
use base::{Now, Rng, Timers};
use media::{EndpointId, PortPool, Prompt, RecordId};
use sip_core::endpoint::{self, Endpoint, GateRates, InboundId, RequestId, SessionId};
use sip_core::transport::Local;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

use crate::call::leg::MediaPort;

macro_rules! wakes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a timer of a call is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Wake {
            $($(#[$doc])* $name,)*
        }

        impl Wake {
            const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

wakes! {
    /// It has waited too long for a permit.
    Queue,
    /// It has rung too long.
    Ring,
    /// It has lasted too long.
    Duration,
    /// What is kept for it of its tenant's day is used up.
    Day,
    /// Its program asked to be woken.
    Program,
    /// A silence that is listened to is long enough, or somebody has spoken for as long as the program lets them.
    Hearing,
    /// What is run for it while it waits for a conference asked to be woken.
    Waiting,
    /// It should be known by now who has answered.
    Machine,
    /// The next keys that its program presses are due.
    Keys,
    /// It has ended, and what its program owes to others should be done by now.
    Afterlife,
    /// Its far end, which has handed it on, should have hung up by now.
    HandedOn,
    /// Its media endpoint should have closed by now.
    Release,
}

impl Wake {
    fn bit(self) -> u16 {
        1 << self as u16
    }

    /// True for what is for the time after the call's end.
    const fn is_of_the_dead(self) -> bool {
        matches!(self, Self::Afterlife | Self::Release)
    }
}

/// A [`Wake`] has a bit of its own.
const _: () = assert!(Wake::ALL.len() <= u16::BITS as usize, "the timers of a call have more names than bits");

/// A timer's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// A call's.
    Call(CallSid, Wake),
    /// Try the calls that wait for a permit again.
    Queue,
    /// A trunk's registration.
    Register(usize),
    /// A trunk's next OPTIONS.
    Ping(usize),
    /// A user's binding ends.
    Binding,
}

/// What calls work with. It is apart from the calls so that one call can be worked on while all of this is at hand.
pub(crate) struct Desk {
    /// The SIP user agent.
    pub(crate) endpoint: Endpoint,
    /// RTP ports.
    pub(crate) ports: PortPool,
    /// Prompts by name.
    pub(crate) prompts: BTreeMap<String, Arc<Prompt>>,
    /// Trunks.
    pub(crate) trunks: Trunks,
    /// What tenants use.
    pub(crate) tally: Tally,
    /// What addresses mean.
    pub(crate) plan: Arc<Plan>,
    /// The host of our own addresses, where no name is configured.
    pub(crate) host: String,
    /// Users, and where they are.
    pub(crate) registrar: Registrar,
    /// Whose calls sessions are that users have opened; taken by the call.
    pub(crate) callers: HashMap<SessionId, Proved>,
    /// Messages that users send one another, on their way to an answer.
    pub(crate) messages: BTreeMap<RequestId, InboundId>,
    /// Timers.
    pub(crate) timers: Timers<Timer>,
    /// What is to be done.
    pub(crate) out: VecDeque<Output>,
    /// Which call a session belongs to.
    pub(crate) by_session: HashMap<SessionId, CallSid>,
    /// Which call a media endpoint belongs to.
    pub(crate) by_media: HashMap<EndpointId, CallSid>,
    /// Where SIP is listened for.
    pub(crate) locals: Vec<Local>,
    /// Addresses in session descriptions.
    pub(crate) media: MediaAddress,
    /// How long a far end may be silent.
    pub(crate) media_timeout: Duration,
    /// Randomness for sids and session ids.
    pub(crate) rng: Rng,
    /// What calls tell one another, in order.
    pub(crate) letters: VecDeque<(CallSid, Letter)>,
    /// Calls that calls have made, to be taken in.
    pub(crate) born: VecDeque<Call>,
    /// When the user agent wants to be woken.
    pub(crate) sip_wake: Option<u64>,
    next_media: u64,
    /// Conferences that are held.
    pub(crate) rooms: Rooms,
    /// Which call a recording belongs to: its end may come after its endpoint's.
    pub(crate) by_record: HashMap<RecordId, CallSid>,
    /// Where recordings are written.
    pub(crate) recordings: PathBuf,
    api_url: Option<Url>,
    next_record: u64,
}

impl Desk {
    pub(crate) fn new(config: &Config, provisioned: &Provisioned, mut rng: Rng, now: Now) -> Result<Self, ConfigError> {
        let (first, last) = config.ports;
        let bound = config.endpoint.locals.first().map(|local| local.advertised.ip().to_string());
        Ok(Self {
            endpoint: Endpoint::new(with_gate(config, provisioned), rng.fork()),
            ports: PortPool::new(media::PortRange::new(first, last)?),
            prompts: tones(),
            trunks: Trunks::new(provisioned, config.succeeds, &mut rng, now),
            tally: Tally::new(config.used.as_ref(), now),
            plan: Arc::clone(&provisioned.plan),
            host: bound.unwrap_or_else(|| "localhost".to_owned()),
            registrar: Registrar::of(Arc::clone(&provisioned.directory), &mut rng),
            callers: HashMap::new(),
            messages: BTreeMap::new(),
            timers: Timers::default(),
            out: VecDeque::new(),
            by_session: HashMap::new(),
            by_media: HashMap::new(),
            locals: config.endpoint.locals.clone(),
            media: config.media.clone(),
            media_timeout: config.media_timeout,
            rng,
            letters: VecDeque::new(),
            born: VecDeque::new(),
            sip_wake: None,
            next_media: 1,
            rooms: Rooms::default(),
            by_record: HashMap::new(),
            recordings: config.recordings.clone(),
            api_url: config.api_url.clone(),
            next_record: 1,
        })
    }

    /// Takes other tenants, trunks, numbers and users in place of those that there are.
    pub(crate) fn provision(&mut self, provisioned: &Provisioned, now: Now) {
        self.endpoint.set_domains(provisioned.domains.clone());
        self.endpoint.set_known(provisioned.carriers());
        self.plan = Arc::clone(&provisioned.plan);
        self.registrar.replace(Arc::clone(&provisioned.directory), &mut self.rng);
        self.follow_registrar(now);
        self.replace_trunks(provisioned, now);
    }

    /// Takes up where users were, as an earlier process has kept it.
    pub(crate) fn restore_locations(&mut self, kept: &[KeptLocation], now: Now) {
        self.registrar.restore(kept, &self.locals, now);
        self.follow_registrar(now);
    }

    /// Sends a media command on its way.
    pub(crate) fn media(&mut self, command: media::Command) {
        self.out.push_back(Output::Media(command));
    }

    /// Takes a port and asks for an endpoint on it; `None` where every port is taken or rests.
    pub(crate) fn open_media(&mut self, sid: CallSid, now: Now) -> Option<MediaPort> {
        let port = self.ports.take(now)?;
        let id = EndpointId(self.next_media);
        self.next_media += 1;
        self.by_media.insert(id, sid);
        self.media(media::Command::Create { id, rtp_port: port });
        Some(MediaPort { id, port })
    }

    /// Gives a port back, whose endpoint is gone.
    pub(crate) fn free_media(&mut self, media: MediaPort, now: Now) {
        self.by_media.remove(&media.id);
        self.ports.release(media.port, now);
    }

    /// A recording's name, and whose it is.
    pub(crate) fn open_recording(&mut self, sid: CallSid) -> RecordId {
        let id = RecordId(self.next_record);
        self.next_record += 1;
        self.by_record.insert(id, sid);
        id
    }

    /// Where a recording is fetched from, without a file's extension.
    pub(crate) fn recording_url(&self, recording: &str) -> Option<Url> {
        self.api_url.as_ref()?.join(&format!("/v1/recordings/{recording}")).ok()
    }

    /// The tenant's account, as Twilio's requests name it; empty where it has none.
    pub(crate) fn account_of(&self, tenant: &str) -> String {
        self.plan.account_of(tenant)
    }

    /// The media endpoint of a call, by the text of its sid.
    pub(crate) fn media_of(&self, sid: &str) -> Option<EndpointId> {
        let sid: CallSid = sid.parse().ok()?;
        self.by_media.iter().find(|(_, call)| **call == sid).map(|(id, _)| *id)
    }
}

/// The timers of one call. It knows which it has set, so that a call that ends does not ask for each there could be.
#[derive(Debug)]
pub(crate) struct Alarms {
    sid: CallSid,
    /// A bit for each [`Wake`] that was set and not stopped.
    set: u16,
}

impl Alarms {
    pub(crate) fn of(sid: CallSid) -> Self {
        Self { sid, set: 0 }
    }

    /// Wakes the call `after` from now.
    pub(crate) fn wake(&mut self, what: Wake, after: Duration, desk: &mut Desk, now: Now) {
        self.wake_at(what, now.after(after), desk);
    }

    /// Wakes the call at `at` (monotonic nanoseconds).
    pub(crate) fn wake_at(&mut self, what: Wake, at: u64, desk: &mut Desk) {
        self.set |= what.bit();
        desk.timers.set(Timer::Call(self.sid, what), at);
    }

    /// Does not.
    pub(crate) fn stop(&mut self, what: Wake, desk: &mut Desk) {
        if self.set & what.bit() != 0 {
            self.set &= !what.bit();
            desk.timers.stop(Timer::Call(self.sid, what));
        }
    }

    /// Stops all but what is for the time after the call's end.
    pub(crate) fn quiet(&mut self, desk: &mut Desk) {
        for what in Wake::ALL.iter().filter(|what| !what.is_of_the_dead()) {
            self.stop(*what, desk);
        }
    }
}

/// The tones that calls hear without a file.
fn tones() -> BTreeMap<String, Arc<Prompt>> {
    media::tone(BEEP_TONE).into_iter().map(|beep| (BEEP.to_owned(), Arc::new(beep))).collect()
}

/// The user agent's configuration, with the carriers known at its gate.
fn with_gate(config: &Config, provisioned: &Provisioned) -> endpoint::Config {
    let gate = Some(GateRates { known: provisioned.carriers(), ..GateRates::default() });
    endpoint::Config { gate, domains: provisioned.domains.clone(), ..config.endpoint.clone() }
}
