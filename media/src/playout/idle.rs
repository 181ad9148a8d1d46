//! What need not be decoded: packets of Opus in which nobody speaks, for a listener who passes over what is that quiet. In a
//! conference of a hundred that is nearly every packet.
//!
//! A packet tells by itself, by its sender's own flag. One in `LOOK` is decoded all the same, so that a sound that a
//! sender takes for no voice is heard. A decoder that was passed over goes on from where it was: what it remembers is the
//! quiet before, as after a pause of the sender's (RFC 7587 §3.1.3).

use crate::codec::{Codec, opus};

/// Of so many packets one is decoded.
const LOOK: u8 = 10;

/// What is passed over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Idle {
    may: bool,
    passed: u8,
}

impl Idle {
    pub(super) fn rest(&mut self, may: bool) {
        self.may = may;
    }

    /// Whether the next packet is not decoded.
    pub(super) fn passes_over(&mut self, codec: Codec, payload: &[u8]) -> bool {
        let idle = self.may && codec == Codec::Opus && opus::is_inactive(payload);
        self.passed = if idle { (self.passed + 1) % LOOK } else { 0 };
        idle && self.passed > 0
    }
}
