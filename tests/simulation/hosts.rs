//! Two hosts on a virtual network: the switch, and a carrier whose calls meet a mix of everything.

use crate::phone::Phone;
use base::{Now, Rng};
use carrier::{Profile, TrunkConfig};
use carrier_sim::virtual_network::{Carried, HostId, Impairment, Input, Network, Node, Output, Site};
use carrier_sim::{CallReport, Carrier, CarrierConfig, Rule};
use media::{PortRange, Prompt};
use serde_json::json;
use sip_core::auth::Credentials;
use sip_core::endpoint::NextHop;
use sip_core::transport::Transport;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use switch::{CallSid, Command, MediaAddress, Originate, Record, Switch};

/// 5 % loss, duplicates and reordering, for SIP and RTP.
pub const BAD: Impairment = Impairment {
    delay: Duration::from_millis(15),
    jitter: Duration::from_millis(15),
    loss: 0.05,
    duplicate: 0.02,
    reorder: 0.05,
    held_up: Duration::from_millis(60),
};
/// Nothing happens to packets.
pub const GOOD: Impairment = Impairment::CLEAN;

pub const SWITCH: [u8; 4] = [10, 0, 0, 1];
const CARRIER: [u8; 4] = [10, 0, 0, 2];
/// What calls meet, by weight.
const MIX: &[(u32, &str)] = &[
    (30, "ring 200ms, answer 300ms, wait 20s"),
    (10, "early ringback, answer 700ms, wait 20s"),
    (10, "ring 100ms, answer 200ms, say words, press 2 after 300ms, wait 20s"),
    (8, "answer 100ms, hangup after 900ms"),
    (8, "ring 50ms, busy 200ms"),
    (5, "ring 50ms, decline 100ms"),
    (5, "not found"),
    (5, "overloaded"),
    (3, "timeout 300ms"),
    (5, "ring only"),
    (3, "silent"),
    (5, "ring 100ms, late 200 after cancel"),
    (3, "answer 100ms, no rtp, wait 20s"),
    (3, "answer 100ms, lost bye after 700ms"),
    (2, "answer 100ms, vanish after 500ms"),
    (2, "answer 200ms, hold after 400ms, resume after 900ms, wait 20s"),
];

/// Whoever stands on the network.
pub enum Host {
    Switch(Box<Switch>),
    Carrier(Box<Carrier>),
    Phone(Box<Phone>),
}

/// What either is told.
pub enum Order {
    Switch(Command),
    Carrier(carrier_sim::Command),
}

/// What either tells.
pub enum Told {
    Record(Box<Record>),
    Report(Box<CallReport>),
    Nothing,
}

impl Node for Host {
    type Command = Order;
    type Report = Told;

    fn handle(&mut self, input: Input<Order>, now: Now) {
        match self {
            Self::Switch(switch) => {
                let input = match input {
                    Input::Sip(input) => switch::Input::Sip(input),
                    Input::Media(event) => switch::Input::Media(Box::new(event)),
                    Input::Timeout => switch::Input::Timeout,
                    Input::Command(Order::Switch(command)) => switch::Input::Command(command),
                    Input::Command(Order::Carrier(_)) => return,
                };
                switch.handle(input, now);
            }
            Self::Carrier(carrier) => {
                let input = match input {
                    Input::Sip(input) => carrier_sim::Input::Sip(input),
                    Input::Media(event) => carrier_sim::Input::Media(event),
                    Input::Timeout => carrier_sim::Input::Timeout,
                    Input::Command(Order::Carrier(command)) => carrier_sim::Input::Command(command),
                    Input::Command(Order::Switch(_)) => return,
                };
                carrier.handle(input, now);
            }
            Self::Phone(phone) => match input {
                Input::Sip(input) => phone.handle(input, now),
                Input::Timeout => phone.handle(sip_core::transport::Input::Timeout, now),
                Input::Media(_) | Input::Command(_) => {}
            },
        }
    }

    fn poll(&mut self) -> Output<Told> {
        match self {
            Self::Switch(switch) => match switch.poll() {
                switch::Output::Sip(effect) => Output::Sip(effect),
                switch::Output::Media(command) => Output::Media(command),
                switch::Output::Record(record) => Output::Report(Told::Record(record)),
                switch::Output::Errand(errand) => panic!("no program here asks for the world outside: {errand:?}"),
                switch::Output::Timeout(at) => Output::Timeout(at),
            },
            Self::Carrier(carrier) => match carrier.poll() {
                carrier_sim::Output::Sip(effect) => Output::Sip(effect),
                carrier_sim::Output::Media(command) => Output::Media(command),
                carrier_sim::Output::Report(report) => Output::Report(Told::Report(report)),
                carrier_sim::Output::Note(_) => Output::Report(Told::Nothing),
                carrier_sim::Output::Timeout(at) => Output::Timeout(at),
            },
            Self::Phone(phone) => phone.poll(),
        }
    }
}

/// What a run has left behind.
#[derive(Default)]
pub struct Town {
    pub admitted: Vec<CallSid>,
    pub inbound: u32,
    pub records: Vec<Record>,
    pub reports: Vec<CallReport>,
    pub load: switch::Load,
    pub carrier_idle: bool,
    pub trace: u64,
    /// What the switch has recorded.
    pub recorded: Vec<Vec<i16>>,
    pub carried: Carried,
}

/// Half a second of noise: every frame of it is like no other.
pub fn words() -> Arc<Prompt> {
    let mut rng = Rng::from_u64(99);
    let samples: Vec<i16> = (0..4_000).map(|_| (rng.below(16_000) as i32 - 8_000) as i16).collect();
    Arc::new(Prompt::new("words", samples))
}

fn ringback() -> Arc<Prompt> {
    let samples: Vec<i16> = (0..8_000).map(|n| (4_000.0 * (f64::from(n) * 0.345).sin()) as i16).collect();
    Arc::new(Prompt::new("ringback", samples))
}

/// What answers, and how.
fn numbers() -> [(&'static str, serde_json::Value); 3] {
    [
        ("+18325550100", json!([{"gather": "words", "max_digits": 1, "timeout_s": 1}])),
        ("+18325550101", json!([{"bridge": ["+15557770001", "+15557770002"], "timeout_s": 6}])),
        (
            "+18325550102",
            json!([{"bridge": ["+15557770003", "+15557770004"], "mode": "sequential", "timeout_s": 3}, {"play": "words"}]),
        ),
    ]
}

pub fn switch_config(numbers: &[(&str, serde_json::Value)]) -> switch::Config {
    let site = Site::at(SWITCH.into());
    let mut trunk = TrunkConfig::new(
        "sim".parse().expect("a name"),
        Profile::Generic,
        sip_core::uri::Uri::parse(b"sip:trunk.example").expect("a uri"),
    );
    trunk.username = Some("us".to_owned());
    trunk.password = Some("secret".into());
    trunk.max_cps = 400;
    trunk.max_calls = 10_000;
    trunk.accept_from = vec![IpAddr::from(CARRIER).into()];
    let number = |(number, answer): &(&str, serde_json::Value)| switch::Number {
        number: (*number).to_owned(),
        tenant: "default".to_owned(),
        answer: ivr::Answer::parse(answer).expect("an answer"),
    };
    switch::Config {
        endpoint: sip_core::endpoint::Config::new(site.locals.clone()),
        media: MediaAddress { advertised: SWITCH.into(), inside: SWITCH.into(), local_net: Vec::new() },
        ports: (10_000, 31_999),
        media_timeout: Duration::from_secs(10),
        calls_per_second: 1_000,
        concurrent_calls: 10_000,
        trunks: vec![trunk],
        numbers: numbers.iter().map(number).collect(),
        trunk_access: ["default".to_owned()].into(),
        registrar: switch::registrar::RegistrarConfig::default(),
        recordings: "recordings".into(),
        api_url: None,
        accounts: std::collections::BTreeMap::new(),
    }
}

fn carrier_config() -> CarrierConfig {
    let ports = PortRange::new(10_000, 31_999).expect("a range");
    let site = Site::at(CARRIER.into());
    let mut config = CarrierConfig::new(site.locals.clone(), CARRIER.into(), ports);
    config.credentials = Some(Credentials {
        username: "us".to_owned(),
        password: "secret".into(),
        realm: Some("sip.twilio.com".to_owned()),
    });
    config.mix = MIX.iter().map(|(weight, script)| (*weight, script.parse().expect(script))).collect();
    config.by_number =
        vec![Rule { number: "*000".to_owned(), script: "answer 100ms, hangup after 2s".parse().expect("a script") }];
    config.prompts = vec![words(), ringback()];
    let host = IpAddr::from(SWITCH).to_string();
    config.originate_to = Some(NextHop::new(host, Some(5060), Transport::Udp));
    config
}

fn order(n: u32, rng: &mut Rng, now: Now) -> Originate {
    let programs = [
        json!([{"play": "words"}]),
        json!([{"gather": "words", "max_digits": 1, "timeout_s": 1, "on": {"2": {"play": "words"}}}]),
        json!([{"play": "words", "loop": 3}, {"hangup": true}]),
        json!([{"echo": true}]),
        json!([{"play": "words"}, {"bridge": "+15557770005", "timeout_s": 4}, {"play": "words"}]),
    ];
    let program = &programs[n as usize % programs.len()];
    Originate {
        sid: CallSid::new(rng),
        tenant: "default".to_owned(),
        from: "+18325550100".parse().expect("a number"),
        to: format!("+1555{n:07}").parse().expect("a number"),
        answer: ivr::Answer::parse(program).expect("an answer"),
        trunk: None,
        timeout: Duration::from_secs(6),
        max_duration: Duration::from_secs(8),
        metadata: json!({ "n": n }),
        queued_at: now.wall,
    }
}

fn gather(network: &mut Network<Host>, host: HostId, town: &mut Town) {
    for (_, told) in network.reports(host) {
        match told {
            Told::Record(record) => town.records.push(*record),
            Told::Report(report) => town.reports.push(*report),
            Told::Nothing => {}
        }
    }
}

/// Places `calls` calls (and one in ten of them the other way) over such a network, until all is quiet.
pub fn run(seed: u64, calls: u32, weather: Impairment) -> Town {
    let mut rng = Rng::from_u64(seed);
    let (mut network, switch, carrier) = build(&mut rng, seed, weather, &numbers(), carrier_config());
    let mut town = Town::default();
    for n in 0..calls {
        let order = order(n, &mut rng, network.now());
        town.admitted.push(order.sid);
        let sid = order.sid;
        network.command(switch, Order::Switch(Command::Originate(Box::new(order))));
        if n % 10 == 3 {
            town.inbound += 1;
            let script =
                ["press 5 after 500ms, hangup after 5s", "hangup after 700ms", "cancel after 3ms"][n as usize / 10 % 3];
            let script = script.parse().expect("a script");
            let (from, to) = (format!("+1666{n:07}"), numbers()[n as usize / 30 % 3].0.to_owned());
            network.command(carrier, Order::Carrier(carrier_sim::Command::Call { from, to, script }));
        }
        if n % 50 == 17 {
            let how = if n % 100 == 17 { switch::EndAs::Canceled } else { switch::EndAs::Completed };
            network.run_for(Duration::from_millis(rng.below(900)));
            network.command(switch, Order::Switch(Command::End { sid, how }));
        }
        network.run_for(Duration::from_micros(2_000 + rng.below(6_000)));
        gather(&mut network, switch, &mut town);
        gather(&mut network, carrier, &mut town);
    }
    finish(&mut network, switch, carrier, &mut town);
    town
}

/// One call from the carrier to a number of ours that `answer`s so; whoever we call meets `rules`.
pub fn one_call_in(answer: serde_json::Value, rules: &[(&str, &str)], script: &str) -> Town {
    let mut rng = Rng::from_u64(1);
    let mut config = carrier_config();
    let rule =
        |(number, script): &(&str, &str)| Rule { number: (*number).to_owned(), script: script.parse().expect(script) };
    config.by_number = rules.iter().map(rule).collect();
    let (mut network, switch, carrier) = build(&mut rng, 1, GOOD, &[("+18325550100", answer)], config);
    let (from, to) = ("+16665550001".to_owned(), "+18325550100".to_owned());
    let script = script.parse().expect(script);
    network.command(carrier, Order::Carrier(carrier_sim::Command::Call { from, to, script }));
    let mut town = Town { inbound: 1, ..Town::default() };
    finish(&mut network, switch, carrier, &mut town);
    town
}

/// Several calls from the carrier to a number of ours that `answer`s so, each this much later than the run's beginning.
pub fn calls_in(answer: serde_json::Value, calls: &[(u64, &str)]) -> Town {
    let mut rng = Rng::from_u64(1);
    let numbers = [("+18325550100", answer)];
    let config = CarrierConfig { keeps_captures: true, ..carrier_config() };
    let (mut network, switch, carrier) = build(&mut rng, 1, GOOD, &numbers, config);
    let mut at = 0;
    for (nth, (later_ms, script)) in calls.iter().enumerate() {
        network.run_for(Duration::from_millis(later_ms - at));
        at = *later_ms;
        let (from, to) = (format!("+1666555000{nth}"), "+18325550100".to_owned());
        let script = script.parse().expect(script);
        network.command(carrier, Order::Carrier(carrier_sim::Command::Call { from, to, script }));
    }
    let mut town = Town { inbound: calls.len() as u32, ..Town::default() };
    finish(&mut network, switch, carrier, &mut town);
    town.recorded = network.recordings(switch).values().map(|(_, samples)| samples.clone()).collect();
    town
}

fn build(
    rng: &mut Rng,
    seed: u64,
    weather: Impairment,
    numbers: &[(&str, serde_json::Value)],
    carrier: CarrierConfig,
) -> (Network<Host>, HostId, HostId) {
    let mut network = Network::new(seed);
    network.impair_sip(weather);
    network.impair_media(weather);
    network.name("trunk.example", vec![std::net::SocketAddr::from((CARRIER, 5060))]);
    let switch = Switch::new(&switch_config(numbers), rng.fork(), network.now()).expect("a switch");
    let switch = network.join(Host::Switch(Box::new(switch)), Site::at(SWITCH.into()));
    let carrier = Carrier::new(carrier, rng.fork());
    let carrier = network.join(Host::Carrier(Box::new(carrier)), Site::at(CARRIER.into()));
    network.command(switch, Order::Switch(Command::Prompt(words())));
    network.command(switch, Order::Switch(Command::Prompt(ringback())));
    (network, switch, carrier)
}

/// Lets time pass until nothing can be left.
fn finish(network: &mut Network<Host>, switch: HostId, carrier: HostId, town: &mut Town) {
    // The longest call, then 64·T1 for the last retransmission, then a little.
    network.run_for(Duration::from_secs(10 + 32 + 32 + 5));
    gather(network, switch, town);
    gather(network, carrier, town);
    if let Host::Switch(switch) = network.node(switch) {
        town.load = switch.load();
    }
    if let Host::Carrier(carrier) = network.node(carrier) {
        town.carrier_idle = carrier.is_idle();
    }
    town.trace = network.trace();
    town.carried = network.carried();
}
