//! Where some frames of known prompts stand in a capture: all of them looked for in one pass.
//!
//! Eight octets of each anchor are its key. A bitmap tells nearly every octet of a capture that no key ends there; what
//! it lets through is looked up, and then the whole frame must be equal.

use media::prompt::FRAME;
use std::collections::HashMap;

/// Octets of a key.
const KEY: usize = 8;
/// A frame changes at least so many times from octet to octet: it is neither silence, nor a click in it.
const LIVELY: usize = FRAME / 4;
/// How many frames of a prompt are looked for: as many losses in the wrong places hide it.
const PER_PROMPT: usize = 6;
/// Bits of the bitmap; a few hundred keys leave it nearly empty.
const BITS: usize = 1 << 14;

/// One frame that is looked for.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// Which prompt.
    prompt: usize,
    /// Where in the prompt the frame begins.
    frame: usize,
    /// Where in the frame its key begins.
    key: usize,
}

/// The anchors of some prompts, in one codec.
#[derive(Debug)]
pub(super) struct Anchors {
    /// Looked up, never listed.
    by_key: HashMap<u64, Vec<Anchor>>,
    bitmap: Box<[u64; BITS / 64]>,
}

impl Anchors {
    /// Those of prompts whose octets these are, in this order.
    pub(super) fn of<'a>(prompts: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut anchors = Self { by_key: HashMap::new(), bitmap: Box::new([0; BITS / 64]) };
        for (prompt, octets) in prompts.enumerate() {
            let frames = octets.chunks_exact(FRAME).enumerate();
            let lively: Vec<_> = frames.filter(|(_, frame)| changes(frame) >= LIVELY).collect();
            let step = lively.len().div_ceil(PER_PROMPT).max(1);
            for (index, frame) in lively.into_iter().step_by(step) {
                anchors.add(prompt, index * FRAME, frame);
            }
        }
        anchors
    }

    fn add(&mut self, prompt: usize, frame: usize, octets: &[u8]) {
        let keys = octets.windows(KEY).enumerate();
        // The liveliest stretch: silence must not look like a key all the time.
        let Some((key, window)) = keys.max_by_key(|(at, window)| (changes(window), std::cmp::Reverse(*at))) else {
            return;
        };
        let word = window.iter().fold(0, |word, &octet| pushed(word, octet));
        let (place, bit) = bit_of(word);
        if let Some(bits) = self.bitmap.get_mut(place) {
            *bits |= bit;
        }
        self.by_key.entry(word).or_default().push(Anchor { prompt, frame, key });
    }

    /// Tells `found` of each anchor in what was heard: its prompt, and where that would begin. `octets` gives a prompt's.
    pub(super) fn find<'p>(&self, heard: &[u8], octets: impl Fn(usize) -> &'p [u8], mut found: impl FnMut(usize, i64)) {
        let mut word = 0;
        for (end, &octet) in heard.iter().enumerate() {
            word = pushed(word, octet);
            let (place, bit) = bit_of(word);
            if self.bitmap.get(place).is_none_or(|bits| bits & bit == 0) {
                continue;
            }
            for anchor in self.by_key.get(&word).into_iter().flatten() {
                let begin = (end + 1).checked_sub(KEY + anchor.key);
                let frame = begin.and_then(|begin| heard.get(begin..begin + FRAME));
                let wanted = octets(anchor.prompt).get(anchor.frame..anchor.frame + FRAME);
                if let (Some(begin), true) = (begin, frame.is_some() && frame == wanted) {
                    found(anchor.prompt, begin as i64 - anchor.frame as i64);
                }
            }
        }
    }
}

fn changes(octets: &[u8]) -> usize {
    octets.iter().zip(octets.iter().skip(1)).filter(|(a, b)| a != b).count()
}

const fn pushed(word: u64, octet: u8) -> u64 {
    word << 8 | octet as u64
}

const fn bit_of(word: u64) -> (usize, u64) {
    let index = (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50) as usize % BITS;
    (index / 64, 1 << (index % 64))
}
