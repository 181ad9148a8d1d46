//! The carrier on a network of either kind.

use super::{Carrier, Command, Input, Note, Output};
use crate::node as network;
use crate::report::CallReport;
use base::Now;

/// What a carrier tells its user.
#[derive(Clone, Debug)]
pub enum Told {
    /// A call has ended.
    Report(Box<CallReport>),
    /// Something has happened in a call.
    Note(Note),
}

impl network::Node for Carrier {
    type Command = Command;
    type Report = Told;

    fn handle(&mut self, input: network::Input<Command>, now: Now) {
        let input = match input {
            network::Input::Sip(input) => Input::Sip(input),
            network::Input::Media(event) => Input::Media(event),
            network::Input::Command(command) => Input::Command(command),
            network::Input::Timeout => Input::Timeout,
        };
        Self::handle(self, input, now);
    }

    fn poll(&mut self) -> network::Output<Told> {
        match Self::poll(self) {
            Output::Sip(effect) => network::Output::Sip(effect),
            Output::Media(command) => network::Output::Media(command),
            Output::Report(report) => network::Output::Report(Told::Report(report)),
            Output::Note(note) => network::Output::Report(Told::Note(note)),
            Output::Timeout(at) => network::Output::Timeout(at),
        }
    }
}
