//! A carrier, and a phone that calls it, on one virtual network.

#![allow(dead_code, reason = "each test file uses its part")]

mod phone;

pub use phone::{Phone, PhoneCommand, PhoneEvent};

use base::{Now, Rng};
use carrier_sim::virtual_network::{HostId, Input, Network, Node, Output, Site};
use carrier_sim::{CallReport, Carrier, CarrierConfig, Command, Script, Told, What};
use media::{PortRange, Prompt};
use sip_core::auth::Credentials;
use sip_core::endpoint::NextHop;
use sip_core::transport::Transport;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub const CARRIER: &str = "192.0.2.10";
pub const PHONE: &str = "198.51.100.20";
pub const CALLED: &str = "+15550001111";
pub const CALLER: &str = "+15552220000";
pub const PASSWORD: &str = "Sesame-Street-1";

/// Whatever stands on the network of these tests.
pub enum Party {
    Carrier(Box<Carrier>),
    Phone(Box<Phone>),
}

pub enum PartyCommand {
    Carrier(Command),
    Phone(Box<PhoneCommand>),
}

pub enum PartyTold {
    Carrier(Told),
    Phone(PhoneEvent),
}

impl Node for Party {
    type Command = PartyCommand;
    type Report = PartyTold;

    fn handle(&mut self, input: Input<PartyCommand>, now: Now) {
        match self {
            Self::Carrier(carrier) => {
                let only = |command| match command {
                    PartyCommand::Carrier(command) => Some(command),
                    PartyCommand::Phone(_) => None,
                };
                if let Some(input) = narrow(input, only) {
                    Node::handle(&mut **carrier, input, now);
                }
            }
            Self::Phone(phone) => {
                let only = |command| match command {
                    PartyCommand::Phone(command) => Some(*command),
                    PartyCommand::Carrier(_) => None,
                };
                if let Some(input) = narrow(input, only) {
                    phone.handle(input, now);
                }
            }
        }
    }

    fn poll(&mut self) -> Output<PartyTold> {
        match self {
            Self::Carrier(carrier) => widen(Node::poll(&mut **carrier), PartyTold::Carrier),
            Self::Phone(phone) => widen(phone.poll(), PartyTold::Phone),
        }
    }
}

fn narrow<A, B>(input: Input<A>, only: impl Fn(A) -> Option<B>) -> Option<Input<B>> {
    Some(match input {
        Input::Sip(input) => Input::Sip(input),
        Input::Media(event) => Input::Media(event),
        Input::Command(command) => Input::Command(only(command)?),
        Input::Timeout => Input::Timeout,
    })
}

fn widen<A, B>(output: Output<A>, to: impl Fn(A) -> B) -> Output<B> {
    match output {
        Output::Sip(effect) => Output::Sip(effect),
        Output::Media(command) => Output::Media(command),
        Output::Report(report) => Output::Report(to(report)),
        Output::Timeout(at) => Output::Timeout(at),
    }
}

/// Noise that no other seed makes.
pub fn prompt(name: &str, seed: u64, ms: usize) -> Arc<Prompt> {
    let mut rng = Rng::from_u64(seed);
    Arc::new(Prompt::new(name, (0..ms * 8).map(|_| ((rng.u32() as i16) / 4) | 64).collect::<Vec<_>>()))
}

pub fn prompts() -> Vec<Arc<Prompt>> {
    vec![prompt("welcome", 1, 1_500), prompt("menu", 2, 2_000), prompt("ringback", 3, 1_000), prompt("hello", 4, 700)]
}

/// A carrier at [`CARRIER`] and a phone at [`PHONE`].
pub struct World {
    pub network: Network<Party>,
    pub carrier: HostId,
    pub phone: HostId,
    pub told: Vec<(Now, Told)>,
    pub events: Vec<(Now, PhoneEvent)>,
}

/// A carrier that answers with this script.
pub fn config(script: &str) -> CarrierConfig {
    let site = Site::at(CARRIER.parse().unwrap());
    let ports = PortRange::new(10_000, 19_999).unwrap();
    CarrierConfig {
        script: script.parse::<Script>().unwrap(),
        prompts: prompts(),
        originate_to: Some(NextHop::new(PHONE, Some(5060), Transport::Udp)),
        ..CarrierConfig::new(site.locals, CARRIER.parse().unwrap(), ports)
    }
}

/// The same in Twilio's manner, with one known user.
pub fn twilio(script: &str) -> CarrierConfig {
    CarrierConfig { twilio: true, credentials: Some(credentials()), ..config(script) }
}

pub fn credentials() -> Credentials {
    Credentials { username: "tandem".to_owned(), password: PASSWORD.into(), realm: None }
}

impl World {
    pub fn new(seed: u64, config: CarrierConfig) -> Self {
        let mut rng = Rng::from_u64(seed);
        let mut network = Network::new(seed);
        let site = Site { locals: config.locals.clone(), media_ip: config.media_ip };
        let carrier = network.join(Party::Carrier(Box::new(Carrier::new(config, rng.fork()))), site);
        let address: IpAddr = PHONE.parse().unwrap();
        let phone = Phone::new(Site::at(address).locals, address, prompts(), rng.fork());
        let phone = network.join(Party::Phone(Box::new(phone)), Site::at(address));
        Self { network, carrier, phone, told: Vec::new(), events: Vec::new() }
    }

    pub fn with(script: &str) -> Self {
        Self::new(1, config(script))
    }

    /// Has the phone do something.
    pub fn phone(&mut self, command: PhoneCommand) {
        self.network.command(self.phone, PartyCommand::Phone(Box::new(command)));
    }

    /// Has the carrier call in.
    pub fn carrier_calls(&mut self, script: &str) {
        let (from, to) = (CALLER.to_owned(), CALLED.to_owned());
        let command = Command::Call { from, to, script: script.parse().unwrap() };
        self.network.command(self.carrier, PartyCommand::Carrier(command));
    }

    /// The phone calls the carrier and plays a prompt once it is answered.
    pub fn call(&mut self) {
        self.phone(PhoneCommand::call());
    }

    pub fn run(&mut self, seconds: u64) {
        self.network.run_for(Duration::from_secs(seconds));
        self.listen();
    }

    pub fn run_ms(&mut self, ms: u64) {
        self.network.run_for(Duration::from_millis(ms));
        self.listen();
    }

    fn listen(&mut self) {
        for host in [self.carrier, self.phone] {
            for (at, told) in self.network.reports(host) {
                match told {
                    PartyTold::Carrier(told) => self.told.push((at, told)),
                    PartyTold::Phone(event) => self.events.push((at, event)),
                }
            }
        }
    }

    pub fn reports(&self) -> Vec<&CallReport> {
        self.told
            .iter()
            .filter_map(|(_, told)| if let Told::Report(report) = told { Some(&**report) } else { None })
            .collect()
    }

    /// The one report of the one call.
    pub fn report(&self) -> &CallReport {
        let reports = self.reports();
        assert_eq!(reports.len(), 1, "{reports:#?}");
        reports[0]
    }

    /// What the carrier noted, in words.
    pub fn notes(&self) -> Vec<String> {
        let note = |told: &Told| if let Told::Note(note) = told { Some(note.what.to_string()) } else { None };
        self.told.iter().filter_map(|(_, told)| note(told)).collect()
    }

    pub fn noted(&self, wanted: impl Fn(&What) -> bool) -> bool {
        self.told.iter().any(|(_, told)| matches!(told, Told::Note(note) if wanted(&note.what)))
    }

    /// The phone's events, in words, and when, in milliseconds.
    pub fn heard(&self) -> Vec<(u64, String)> {
        self.events.iter().map(|(at, event)| (at.mono / base::millis(1), event.to_string())).collect()
    }

    pub fn heard_words(&self) -> Vec<String> {
        self.events.iter().map(|(_, event)| event.to_string()).collect()
    }

    pub fn the_carrier(&self) -> &Carrier {
        match self.network.node(self.carrier) {
            Party::Carrier(carrier) => carrier,
            Party::Phone(_) => unreachable!("the carrier's host"),
        }
    }

    pub fn the_phone(&self) -> &Phone {
        match self.network.node(self.phone) {
            Party::Phone(phone) => phone,
            Party::Carrier(_) => unreachable!("the phone's host"),
        }
    }

    /// After 64·T1 nothing is left anywhere.
    pub fn assert_idle(&mut self) {
        self.run(45);
        assert!(self.the_carrier().is_idle(), "{:?}", self.the_carrier().load());
        assert!(self.network.shard(self.carrier).is_empty());
        assert_eq!(self.the_phone().load(), sip_core::endpoint::Load::default());
        assert!(self.network.shard(self.phone).is_empty());
    }
}
