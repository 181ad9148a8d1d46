//! What crosses between the switch and the rim.

use crate::registrar::KeptLocation;
use crate::{Command, Errand, Record};
use sip_core::transport;

/// What the rim hands in.
#[derive(Debug)]
pub enum Input {
    /// From the network's signalling side.
    Sip(transport::Input),
    /// From a media shard; boxed, because an inbox holds many of these and an event with its figures is large.
    Media(Box<media::Event>),
    /// From the API.
    Command(Command),
    /// The time asked for has come.
    Timeout,
}

impl From<transport::Input> for Input {
    fn from(input: transport::Input) -> Self {
        Self::Sip(input)
    }
}

/// What the rim is asked to do.
#[derive(Debug)]
pub enum Output {
    /// Toward the network's signalling side.
    Sip(transport::Effect),
    /// Toward the shard that owns the endpoint.
    Media(media::Command),
    /// For the journal.
    Record(Box<Record>),
    /// For whoever reaches the world outside.
    Errand(Box<Errand>),
    /// Where a user is from now on, to be kept for the next process; without bindings nothing is.
    Location(Box<KeptLocation>),
    /// There is nothing more to do before this time (monotonic nanoseconds), or before the next input.
    Timeout(Option<u64>),
}
