//! A place on the virtual network: the switch, whoever else stands there, and the calls between them, from the first INVITE
//! until nothing can be left.

use crate::hosts::{CARRIER, GOOD, Host, Order, SWITCH, Told, carrier_config, numbers, ringback, switch_config, words};
use base::{Now, Rng};
use carrier_sim::virtual_network::{Carried, HostId, Impairment, Network, Site};
use carrier_sim::{CallReport, Carrier, CarrierConfig, Rule};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use switch::{CallSid, Command, EndAs, Originate, Record, Switch};

/// What a run has left behind.
#[derive(Default)]
pub struct Town {
    pub admitted: Vec<CallSid>,
    pub inbound: u32,
    pub records: Vec<Record>,
    pub reports: Vec<CallReport>,
    /// What calls have asked of the world outside, of which there is none here but a test.
    pub errands: Vec<switch::Errand>,
    pub load: switch::Load,
    /// Whoever still holds something.
    pub busy: Vec<String>,
    /// The most that any call may have lasted.
    pub longest: Duration,
    pub trace: u64,
    /// What the switch has recorded.
    pub recorded: Vec<Vec<i16>>,
    pub carried: Carried,
}

impl Town {
    /// What somebody at this path is told, each request by its parameters, as the deliveries have it that are made of the
    /// records, and in the records' order.
    pub fn told(&self, path: &str) -> Vec<Vec<(String, String)>> {
        let of = |sid| self.records.iter().filter(move |record| record.sid == sid).cloned().map(Arc::new);
        let sids: BTreeSet<CallSid> = self.records.iter().map(|record| record.sid).collect();
        let told = sids.into_iter().flat_map(|sid| {
            let records: Vec<_> = of(sid).collect();
            api::webhooks::deliveries(None, records.iter(), |_| false).into_iter().map(move |one| (sid, one))
        });
        let place = |sid, seq| self.records.iter().position(|record| (record.sid, record.seq) == (sid, seq));
        let mut told: Vec<_> = told
            .filter(|(_, one)| url::Url::parse(&one.url).is_ok_and(|url| url.path() == path))
            .map(|(sid, one)| (place(sid, one.seq), one.body))
            .collect();
        told.sort();
        told.into_iter()
            .map(|(_, body)| {
                url::form_urlencoded::parse(body.trim_start_matches('?').as_bytes()).into_owned().collect()
            })
            .collect()
    }
}

/// 64·T1, after which nothing comes again (RFC 3261 §17).
pub const PATIENCE: Duration = Duration::from_secs(32);

/// How long somebody rings whom nobody hears. An INVITE whose provisionals are all lost until `try_timeout_ms` is left to
/// itself, with no word that could end it (RFC 3261 §9.1): whoever it reached rings until a limit of its own, here that of
/// its user agent.
pub const RINGS_ALONE: Duration = sip_core::endpoint::ANSWER_TIMEOUT;

/// See the head of this file.
pub struct Place {
    pub network: Network<Host>,
    pub rng: Rng,
    pub switch: HostId,
    others: Vec<HostId>,
    pub town: Town,
}

impl Place {
    /// A switch alone in this weather.
    pub fn new(seed: u64, weather: Impairment, config: &switch::Config) -> Self {
        Self::of(seed, weather, config, Host::Switch)
    }

    /// The same with a switch whose wall clock shows this.
    pub fn clocked(seed: u64, weather: Impairment, config: &switch::Config, wall: fn(Now) -> u64) -> Self {
        Self::of(seed, weather, config, |switch| Host::Clocked(switch, wall))
    }

    fn of(seed: u64, weather: Impairment, config: &switch::Config, host: impl FnOnce(Box<Switch>) -> Host) -> Self {
        let mut rng = Rng::from_u64(seed);
        let mut network = Network::new(seed);
        network.impair_sip(weather);
        network.impair_media(weather);
        let switch = Switch::new(config, rng.fork(), network.now()).expect("a switch");
        let switch = network.join(host(Box::new(switch)), Site::at(SWITCH.into()));
        network.command(switch, Order::Switch(Command::Prompt(words())));
        network.command(switch, Order::Switch(Command::Prompt(ringback())));
        Self { network, rng, switch, others: Vec::new(), town: Town::default() }
    }

    /// Somebody else, with a name.
    pub fn join(&mut self, host: Host, ip: [u8; 4], name: &str) -> HostId {
        let id = self.network.join(host, Site::at(ip.into()));
        self.network.name(name, vec![SocketAddr::from((ip, 5060))]);
        self.others.push(id);
        id
    }

    /// A carrier, found under this name.
    pub fn carrier(&mut self, config: CarrierConfig, ip: [u8; 4], name: &str) -> HostId {
        let carrier = Carrier::new(config, self.rng.fork());
        self.join(Host::Carrier(Box::new(carrier)), ip, name)
    }

    /// The API asks for a call.
    pub fn call(&mut self, order: Originate) -> CallSid {
        let sid = order.sid;
        self.town.admitted.push(sid);
        self.network.command(self.switch, Order::Switch(Command::Originate(Box::new(order))));
        sid
    }

    /// A carrier calls us.
    pub fn call_in(&mut self, carrier: HostId, from: String, to: &str, script: &str) {
        self.town.inbound += 1;
        let (to, script) = (to.to_owned(), script.parse().expect(script));
        self.network.command(carrier, Order::Carrier(carrier_sim::Command::Call { from, to, script }));
    }

    /// The API asks for something else.
    pub fn command(&mut self, command: Command) {
        self.network.command(self.switch, Order::Switch(command));
    }

    /// The API ends a call.
    pub fn end(&mut self, sid: CallSid, how: EndAs) {
        self.network.command(self.switch, Order::Switch(Command::End { sid, how }));
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.network.run_for(time);
        self.gather();
    }

    /// So much, and by chance up to so much more.
    pub fn wait_about(&mut self, time: Duration, more: Duration) {
        let more = Duration::from_nanos(self.rng.below(more.as_nanos().max(1) as u64));
        self.wait(time + more);
    }

    fn gather(&mut self) {
        for id in [self.switch].into_iter().chain(self.others.clone()) {
            for (_, told) in self.network.reports(id) {
                match told {
                    Told::Record(record) => self.town.records.push(*record),
                    Told::Report(report) => self.town.reports.push(*report),
                    Told::Errand(errand) => self.town.errands.push(*errand),
                    Told::Nothing => {}
                }
            }
        }
    }

    /// Lets time pass until nothing can be left, where no call lasts longer than that.
    pub fn finish(mut self, longest: Duration) -> Town {
        // The longest call, 64·T1 for an answer that nobody acknowledges, as much for the BYE behind it, then a little.
        self.wait(longest + PATIENCE + PATIENCE + Duration::from_secs(5));
        let mut town = std::mem::take(&mut self.town);
        town.longest = longest + PATIENCE;
        if let Host::Switch(switch) | Host::Clocked(switch, _) = self.network.node(self.switch) {
            town.load = switch.load();
        }
        let busy = |id: &HostId| match self.network.node(*id) {
            Host::Carrier(carrier) if !carrier.is_idle() => Some(format!("{id:?} holds {:?}", carrier.load())),
            Host::Phone(phone) if !phone.is_idle() => Some(format!("{id:?}, a phone, holds {:?}", phone.load())),
            _ => None,
        };
        town.busy = self.others.iter().filter_map(busy).collect();
        town.recorded = self.network.recordings(self.switch).values().map(|(_, samples)| samples.clone()).collect();
        town.trace = self.network.trace();
        town.carried = self.network.carried();
        town
    }
}

/// What the nth caller asks for: one of five programs, to a number of its own.
pub fn order(n: u32, rng: &mut Rng, now: Now) -> Originate {
    let programs = [
        json!([{"play": "words"}]),
        json!([{"gather": "words", "max_digits": 1, "timeout_s": 1, "on": {"2": {"play": "words"}}}]),
        json!([{"play": "words", "loop": 3}, {"hangup": true}]),
        json!([{"echo": true}]),
        json!([{"play": "words"}, {"bridge": "+15557770005", "timeout_s": 4}, {"play": "words"}]),
    ];
    let program = &programs[n as usize % programs.len()];
    Originate {
        sid: CallSid::new(now.wall, rng),
        tenant: "default".to_owned(),
        from: "+18325550100".parse().expect("a number"),
        to: format!("+1555{n:07}").parse().expect("a number"),
        answer: ivr::Answer::parse(program).expect("an answer"),
        trunk: None,
        timeout: Duration::from_secs(6),
        max_duration: Duration::from_secs(8),
        metadata: json!({ "n": n }),
        queued_at: now.wall,
        wishes: switch::Wishes::default(),
    }
}

/// What callers from outside do.
const CALLERS: [&str; 3] = ["press 5 after 500ms, hangup after 5s", "hangup after 700ms", "cancel after 3ms"];

/// Places `calls` calls (and one in ten of them the other way) over such a network, until all is quiet.
pub fn run(seed: u64, calls: u32, weather: Impairment) -> Town {
    let mut place = Place::new(seed, weather, &switch_config(&numbers()));
    let carrier = place.carrier(carrier_config(CARRIER), CARRIER, "trunk.example");
    for n in 0..calls {
        one_of_many(&mut place, carrier, n);
    }
    place.wait(RINGS_ALONE);
    place.finish(Duration::from_secs(10))
}

/// The nth call, one in ten the other way besides, and one in fifty ended by the API.
pub fn one_of_many(place: &mut Place, carrier: HostId, n: u32) {
    let now = place.network.now();
    let order = order(n, &mut place.rng, now);
    let sid = place.call(order);
    if n % 10 == 3 {
        let to = numbers()[n as usize / 30 % 3].0;
        place.call_in(carrier, format!("+1666{n:07}"), to, CALLERS[n as usize / 10 % 3]);
    }
    if n % 50 == 17 {
        place.wait_about(Duration::ZERO, Duration::from_millis(900));
        place.end(sid, if n % 100 == 17 { EndAs::Canceled } else { EndAs::Completed });
    }
    place.wait_about(Duration::from_millis(2), Duration::from_millis(6));
}

/// One call from the carrier to a number of ours that `answer`s so; whoever we call meets `rules`.
pub fn one_call_in(answer: serde_json::Value, rules: &[(&str, &str)], script: &str) -> Town {
    let mut config = carrier_config(CARRIER);
    config.by_number = rules.iter().map(rule).collect();
    let mut place = Place::new(1, GOOD, &switch_config(&[("+18325550100", answer)]));
    let carrier = place.carrier(config, CARRIER, "trunk.example");
    place.call_in(carrier, "+16665550001".to_owned(), "+18325550100", script);
    place.finish(Duration::from_secs(10))
}

/// Several calls from the carrier to a number of ours that `answer`s so, each this much later than the run's beginning.
pub fn calls_in(answer: serde_json::Value, calls: &[(u64, &str)]) -> Town {
    let config = CarrierConfig { keeps_captures: true, ..carrier_config(CARRIER) };
    let mut place = Place::new(1, GOOD, &switch_config(&[("+18325550100", answer)]));
    let carrier = place.carrier(config, CARRIER, "trunk.example");
    let mut at = 0;
    for (nth, (later_ms, script)) in calls.iter().enumerate() {
        place.wait(Duration::from_millis(later_ms - at));
        at = *later_ms;
        place.call_in(carrier, format!("+1666555000{nth}"), "+18325550100", script);
    }
    place.finish(Duration::from_secs(10))
}

/// What a call to a number meets.
pub fn rule((number, script): &(&str, &str)) -> Rule {
    Rule { number: (*number).to_owned(), script: script.parse().expect(script) }
}
