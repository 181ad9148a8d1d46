//! What stands on a network, a virtual or a real one: anything that takes messages, media events and the time, and
//! gives effects back.

use base::Now;
use sip_core::transport;

/// A pure core with signalling and media, as the virtual network and the real driver see it. The carrier is one, the
/// switch another.
pub trait Node {
    /// What it can be told to do.
    type Command;
    /// What it tells.
    type Report;

    /// Takes one input.
    fn handle(&mut self, input: Input<Self::Command>, now: Now);

    /// Gives one output; to be called until it says [`Output::Timeout`].
    fn poll(&mut self) -> Output<Self::Report>;
}

/// What a node takes.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "it is handed over once and never kept: a box would cost an allocation an event"
)]
pub enum Input<C> {
    /// From the network's signalling side.
    Sip(transport::Input),
    /// From its media shard.
    Media(media::Event),
    /// From its user.
    Command(C),
    /// The time it asked for has come.
    Timeout,
}

impl<C> From<transport::Input> for Input<C> {
    fn from(input: transport::Input) -> Self {
        Self::Sip(input)
    }
}

/// What a node gives.
#[derive(Clone, Debug)]
pub enum Output<R> {
    /// Toward the network's signalling side.
    Sip(transport::Effect),
    /// Toward its media shard.
    Media(media::Command),
    /// For its user.
    Report(R),
    /// There is nothing more to do before this time (monotonic nanoseconds), or before the next input.
    Timeout(Option<u64>),
}
