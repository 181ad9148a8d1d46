//! The signalling thread: the one owner of every call (DESIGN.md §3). It takes from its inbox, asks the switch what
//! follows, and hands that to the sockets, the shards and the ledger. None of the three can make it wait.

use crate::clock::Clock;
use crate::overload::Overload;
use crate::tap::Tap;
use api::ledger::Ledger;
use base::millis;
use media::worker::Engine;
use sip_core::net::{Ended, Net, Outlet};
use std::thread::JoinHandle;
use std::time::Duration;
use switch::{Input, Output, Switch, TrunkStatus};

/// How often the figures that the API shows are taken.
const FIGURES_EVERY: u64 = millis(250);
/// Inputs taken in one go before what follows from them is sent: they share wakes, and none waits long.
const INPUTS_AT_ONCE: usize = 16;
/// The longest sleep, where nobody asked to be woken: figures are taken, and the stop is noticed.
const LONGEST_SLEEP: Duration = Duration::from_millis(250);

/// What the API shows of the signalling side.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The trunks.
    pub trunks: Vec<TrunkStatus>,
    /// What tenants use.
    pub usage: std::collections::BTreeMap<String, switch::Usage>,
    /// What they have used today is not known yet.
    pub usage_unknown: bool,
    /// What the switch holds.
    pub load: switch::Load,
    /// Drained to the last call.
    pub drained: bool,
    /// Asked to end everything: every BYE is answered and every registration withdrawn. Never true of figures from before
    /// that was asked.
    pub at_rest: bool,
}

/// What the thread works with.
pub struct Signalling {
    /// The switch.
    pub switch: Switch,
    /// Its inbox.
    pub outlet: Outlet<Input>,
    /// SIP's sockets.
    pub net: Net,
    /// RTP's shards.
    pub engine: Engine,
    /// The journal and the live view.
    pub ledger: Ledger,
    /// The time.
    pub clock: Clock,
    /// Whether it keeps up.
    pub overload: Overload,
    /// Who is handed every SIP message.
    pub tap: Option<Tap>,
    /// What the switch was told last of the journal: whether it takes calls.
    pub admits: bool,
    /// Who runs what calls ask of the world outside. Never waits.
    pub errands: Box<dyn FnMut(switch::Errand) + Send>,
    /// Where a user's whereabouts are kept.
    pub locations: Box<dyn FnMut(switch::registrar::KeptLocation) + Send>,
    /// Where the figures go.
    pub publish: Box<dyn FnMut(Figures) + Send>,
}

impl Signalling {
    /// Starts the thread. It ends when the inbox does.
    pub fn start(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("signalling".to_owned()).spawn(move || self.run())
    }

    fn run(mut self) {
        self.outlet.settle_in();
        let (mut figures_at, mut taken) = (0, 0);
        loop {
            let wake = self.drain();
            let now = self.clock.now();
            if now.mono >= figures_at {
                figures_at = now.mono + FIGURES_EVERY;
                let load = self.switch.load();
                let figures = Figures {
                    trunks: self.switch.trunks(now),
                    usage: self.switch.usage(),
                    usage_unknown: self.switch.lacks_usage(),
                    load,
                    drained: self.switch.is_drained(),
                    at_rest: self.switch.is_at_rest(),
                };
                (self.publish)(figures);
                self.admit();
                self.tap.iter_mut().for_each(Tap::flush);
            }
            let until = wake.map_or(LONGEST_SLEEP, |at| Duration::from_nanos(at.saturating_sub(now.mono)));
            self.outlet.wait(until.min(LONGEST_SLEEP), taken);
            match self.turn(wake) {
                Ok(inputs) => taken = inputs,
                Err(Ended) => break,
            }
        }
        // The media threads may wait for room in the inbox: its end comes before theirs.
        drop(self.outlet);
        self.engine.shutdown();
    }

    /// Calls that come in are taken as long as the journal takes them.
    fn admit(&mut self) {
        let admits = self.ledger.admits().is_ok();
        if std::mem::replace(&mut self.admits, admits) != admits {
            self.switch.handle(Input::Command(switch::Command::Admit(admits)), self.clock.now());
        }
    }

    /// Takes what is there, and the time where it has come; how many inputs that was.
    fn turn(&mut self, wake: Option<u64>) -> Result<usize, Ended> {
        let mut taken = 0;
        while taken < INPUTS_AT_ONCE
            && let Some(input) = self.outlet.take()?
        {
            taken += 1;
            let now = self.clock.now();
            self.switch.set_overloaded(self.overload.refuses(self.outlet.waited(), now.mono));
            if let (Some(tap), Input::Sip(input)) = (&mut self.tap, &input) {
                tap.comes(input, now);
            }
            self.switch.handle(input, now);
        }
        let now = self.clock.now();
        // However much comes in: what is to be repeated or given up is, in time.
        if wake.is_some_and(|at| at <= now.mono) {
            self.switch.handle(Input::Timeout, now);
        }
        Ok(taken)
    }

    /// A port that stands is told at once. A command that its shard does not take is a failure of its endpoint; the call hears
    /// of it as of any other.
    fn command(&mut self, command: media::Command) {
        let id = command.id();
        let done = match command {
            media::Command::Create { id, rtp_port } => self.engine.create(id, rtp_port).map(Some),
            command => self.engine.send(command).map(|()| None),
        };
        let event = done.unwrap_or_else(|error| Some(media::Event::Failed { id, error: error.to_string() }));
        if let Some(event) = event {
            self.switch.handle(Input::Media(Box::new(event)), self.clock.now());
        }
    }

    fn drain(&mut self) -> Option<u64> {
        loop {
            match self.switch.poll() {
                Output::Sip(effect) => {
                    if let Some(tap) = &mut self.tap {
                        tap.leaves(&effect, self.clock.now());
                    }
                    self.net.execute(effect);
                }
                Output::Media(command) => self.command(command),
                Output::Record(record) => self.ledger.append(*record),
                Output::Errand(errand) => (self.errands)(*errand),
                Output::Location(kept) => (self.locations)(*kept),
                Output::Timeout(at) => return at,
            }
        }
    }
}
