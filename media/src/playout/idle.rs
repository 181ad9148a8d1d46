//! What need not be decoded: packets of Opus and G.722 in which nobody speaks, for a listener who passes over what is that
//! quiet. In a conference of a hundred that is nearly every packet.
//!
//! Opus tells by its sender's own flag, G.722 by its scale factors. One packet in some is decoded all the same, so that a
//! sound that was taken for none is heard. A decoder of Opus that was passed over goes on from where it was: what it
//! remembers is the quiet before, as after a pause of the sender's (RFC 7587 §3.1.3). One of G.722 must know what its sender's
//! predictor knows: the last packets that it was passed over with are kept, and decoded for nobody before the next.

use crate::codec::g722::Gauge;
use crate::codec::{Codec, opus};

/// Of so many packets one is decoded: of Opus, and of G.722, where it costs six more.
const LOOK: u8 = 10;
const LOOK_G722: u8 = 25;

/// Packets of G.722 that are kept. After 120 ms a predictor has forgotten all but a fortieth of where it began (its zeros lose
/// one part in 256 each 125 µs).
const KEPT: usize = 6;

/// What is passed over.
#[derive(Clone, Debug, Default)]
pub(super) struct Idle {
    may: bool,
    passed: u8,
    gauge: Gauge,
    /// The packets of G.722 that were passed over last, the nth at n modulo their number.
    kept: [Vec<u8>; KEPT],
    count: usize,
}

impl Idle {
    pub(super) fn rest(&mut self, may: bool) {
        self.may = may;
    }

    /// Whether the next packet is not decoded.
    pub(super) fn passes_over(&mut self, codec: Codec, payload: &[u8]) -> bool {
        let (idle, look) = match codec {
            Codec::Opus => (self.may && opus::is_inactive(payload), LOOK),
            Codec::G722 => (self.may && self.gauge.is_quiet(payload), LOOK_G722),
            Codec::Pcmu | Codec::Pcma => (false, LOOK),
        };
        self.passed = if idle { (self.passed + 1) % look } else { 0 };
        let passes = idle && self.passed > 0;
        if passes && codec == Codec::G722 {
            self.keep(payload);
        }
        passes
    }

    fn keep(&mut self, payload: &[u8]) {
        if let Some(buffer) = self.kept.get_mut(self.count % KEPT) {
            buffer.clear();
            buffer.extend_from_slice(payload);
            self.count += 1;
        }
    }

    /// What is to be decoded for nobody before the packet that is next: once, oldest first.
    pub(super) fn kept(&mut self) -> impl Iterator<Item = &[u8]> {
        let (count, kept) = (std::mem::take(&mut self.count), &self.kept);
        (count.saturating_sub(KEPT)..count).filter_map(move |nth| kept.get(nth % KEPT)).map(Vec::as_slice)
    }
}
