//! Whoever stands on the virtual network: the switch, carriers whose calls meet a mix of everything, phones, a forking
//! proxy; and how each is configured.

use crate::fork::Fork;
use crate::phone::Phone;
use base::{Now, Rng};
use carrier::{Profile, TrunkConfig};
use carrier_sim::virtual_network::{Impairment, Input, Node, Output, Site};
use carrier_sim::{CallReport, Carrier, CarrierConfig, Rule};
use media::{PortRange, Prompt};
use serde_json::json;
use sip_core::auth::Credentials;
use sip_core::endpoint::NextHop;
use sip_core::transport::Transport;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use switch::{Command, MediaAddress, Record, Switch};

/// 5 % loss, duplicates and reordering, for SIP and RTP.
pub const BAD: Impairment = Impairment {
    delay: Duration::from_millis(15),
    jitter: Duration::from_millis(15),
    loss: 0.05,
    duplicate: 0.02,
    reorder: 0.05,
    held_up: Duration::from_millis(60),
};
/// FAULTS row 1: 10 % loss, 5 % duplicates, 20 % overtaken.
pub const ROW_1: Impairment = Impairment { loss: 0.1, duplicate: 0.05, reorder: 0.2, ..BAD };
/// FAULTS row 2: 30 % loss.
pub const STORM: Impairment = Impairment { loss: 0.3, ..BAD };
/// Packets take longer or shorter, and none is lost.
pub const SHUFFLED: Impairment = Impairment { loss: 0.0, duplicate: 0.0, reorder: 0.0, ..BAD };
/// Nothing happens to packets.
pub const GOOD: Impairment = Impairment::CLEAN;

pub const SWITCH: [u8; 4] = [10, 0, 0, 1];
pub const CARRIER: [u8; 4] = [10, 0, 0, 2];
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
    (2, "answer 100ms, lost ack, wait 20s"),
    (2, "ring 50ms, reject 500 after 200ms"),
    (2, "overloaded after 100ms"),
];

/// Whoever stands on the network.
pub enum Host {
    Switch(Box<Switch>),
    /// A switch whose wall clock somebody sets: what it shows in place of the time.
    Clocked(Box<Switch>, fn(Now) -> u64),
    Carrier(Box<Carrier>),
    Phone(Box<Phone>),
    Fork(Box<Fork>),
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
    Errand(Box<switch::Errand>),
    Nothing,
}

impl Node for Host {
    type Command = Order;
    type Report = Told;

    fn handle(&mut self, input: Input<Order>, now: Now) {
        match self {
            Self::Switch(switch) => to_switch(switch, input, now),
            Self::Clocked(switch, wall) => to_switch(switch, input, Now::new(now.mono, wall(now))),
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
            Self::Fork(fork) => {
                if let Input::Sip(input) = input {
                    fork.handle(input);
                }
            }
        }
    }

    fn poll(&mut self) -> Output<Told> {
        match self {
            Self::Switch(switch) | Self::Clocked(switch, _) => match switch.poll() {
                switch::Output::Sip(effect) => Output::Sip(effect),
                switch::Output::Media(command) => Output::Media(command),
                switch::Output::Record(record) => Output::Report(Told::Record(record)),
                switch::Output::Errand(errand) => Output::Report(Told::Errand(errand)),
                switch::Output::Location(_) => Output::Report(Told::Nothing),
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
            Self::Fork(fork) => fork.poll(),
        }
    }
}

fn to_switch(switch: &mut Switch, input: Input<Order>, now: Now) {
    let input = match input {
        Input::Sip(input) => switch::Input::Sip(input),
        Input::Media(event) => switch::Input::Media(Box::new(event)),
        Input::Timeout => switch::Input::Timeout,
        Input::Command(Order::Switch(command)) => switch::Input::Command(command),
        Input::Command(Order::Carrier(_)) => return,
    };
    switch.handle(input, now);
}

/// Half a second of noise: every frame of it is like no other.
pub fn words() -> Arc<Prompt> {
    let mut rng = Rng::from_u64(99);
    let samples: Vec<i16> = (0..4_000).map(|_| (rng.below(16_000) as i32 - 8_000) as i16).collect();
    Arc::new(Prompt::new("words", samples))
}

pub fn ringback() -> Arc<Prompt> {
    let samples: Vec<i16> = (0..8_000).map(|n| (4_000.0 * (f64::from(n) * 0.345).sin()) as i16).collect();
    Arc::new(Prompt::new("ringback", samples))
}

/// What answers, and how.
pub fn numbers() -> [(&'static str, serde_json::Value); 3] {
    [
        ("+18325550100", json!([{"gather": "words", "max_digits": 1, "timeout_s": 1}])),
        ("+18325550101", json!([{"bridge": ["+15557770001", "+15557770002"], "timeout_s": 6}])),
        (
            "+18325550102",
            json!([{"bridge": ["+15557770003", "+15557770004"], "mode": "sequential", "timeout_s": 3}, {"play": "words"}]),
        ),
    ]
}

/// A trunk of this name to this URI, whose calls may come in from these addresses.
pub fn trunk(name: &str, uri: &str, accept_from: &[[u8; 4]]) -> TrunkConfig {
    let uri = sip_core::uri::Uri::parse(uri.as_bytes()).expect("a uri");
    let mut trunk = TrunkConfig::new(name.parse().expect("a name"), Profile::Generic, uri);
    trunk.username = Some("us".to_owned());
    trunk.password = Some("secret".into());
    trunk.max_cps = 400;
    trunk.max_calls = 10_000;
    trunk.accept_from = accept_from.iter().map(|ip| IpAddr::from(*ip).into()).collect();
    trunk
}

/// A tenant whose callers reach trunks.
pub fn tenant() -> switch::Tenant {
    switch::Tenant { trunk_access: true, ..switch::Tenant::default() }
}

pub fn switch_config(numbers: &[(&str, serde_json::Value)]) -> switch::Config {
    let site = Site::at(SWITCH.into());
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
        provisioning: switch::Provisioning {
            calls_per_second: 1_000,
            trunks: vec![trunk("sim", "sip:trunk.example", &[CARRIER])],
            numbers: numbers.iter().map(number).collect(),
            tenants: [("default".to_owned(), tenant())].into(),
            ..switch::Provisioning::default()
        },
        locations: Vec::new(),
        used: Some([].into()),
        succeeds: false,
        recordings: "recordings".into(),
        api_url: "https://api.example".parse().ok(),
    }
}

pub fn carrier_config(ip: [u8; 4]) -> CarrierConfig {
    let ports = PortRange::new(10_000, 31_999).expect("a range");
    let site = Site::at(ip.into());
    let mut config = CarrierConfig::new(site.locals.clone(), ip.into(), ports);
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
