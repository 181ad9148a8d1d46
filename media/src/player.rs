//! Playing a prompt: shared ready-made payloads, a frame at a time.

use crate::codec::Codec;
use crate::command::PlayId;
use crate::prompt::{Frame, Prompt};
use std::sync::Arc;

/// One playback.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    /// Whose it is; `None`: our own, of which nobody is told.
    pub play: Option<PlayId>,
    prompt: Arc<Prompt>,
    /// Samples (8 kHz) of the current round that were sent, padding included.
    position: usize,
    /// Rounds that are over.
    rounds: u32,
    /// How many rounds; 0: for ever.
    repeat: u32,
}

impl Player {
    pub(crate) fn new(play: Option<PlayId>, prompt: Arc<Prompt>, repeat: u32) -> Self {
        Self { play, prompt, position: 0, rounds: 0, repeat }
    }

    /// The next `ms` milliseconds, fewer at the end of a round; `None`: it is over.
    pub(crate) fn next(&mut self, codec: Codec, ms: u16) -> Option<Frame<'_>> {
        if self.is_over() {
            return None;
        }
        let (start, whole) = (self.position, self.prompt.padded());
        self.position = (start + usize::from(ms) * 8).min(whole);
        if self.position == whole {
            self.rounds = self.rounds.saturating_add(1);
            if self.repeat == 0 || self.rounds < self.repeat {
                self.position = 0;
            }
        }
        Some(self.prompt.frame(codec, start, ms))
    }

    /// All rounds were sent. Silence of no length is over at once, however often it repeats.
    pub(crate) fn is_over(&self) -> bool {
        (self.repeat != 0 && self.rounds >= self.repeat) || self.prompt.samples().is_empty()
    }

    /// Samples of the prompt that were sent, without padding.
    pub(crate) fn samples(&self) -> u64 {
        let whole = self.prompt.samples().len();
        let round = if self.is_over() { 0 } else { self.position.min(whole) };
        u64::from(self.rounds) * whole as u64 + round as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn player(samples: usize, repeat: u32) -> Player {
        Player::new(Some(PlayId(1)), Arc::new(Prompt::new("p", vec![0i16; samples])), repeat)
    }

    fn octets(frame: Frame<'_>) -> usize {
        match frame {
            Frame::Ready(octets) => octets.len(),
            Frame::Raw { .. } => 0,
        }
    }

    #[test]
    fn plays_each_round_to_its_end_and_counts_without_padding() {
        let mut player = player(200, 2);
        let frames: Vec<_> = std::iter::from_fn(|| player.next(Codec::Pcmu, 20).map(octets)).collect();
        assert_eq!((frames, player.samples(), player.is_over()), (vec![160; 4], 400, true));
    }

    #[test]
    fn a_frame_longer_than_what_is_left_is_short() {
        let mut player = player(320, 1);
        let frames: Vec<_> = std::iter::from_fn(|| player.next(Codec::Pcmu, 30).map(octets)).collect();
        assert_eq!(frames, [240, 80]);
    }

    #[test]
    fn for_ever_goes_on_and_nothing_for_ever_ends() {
        let mut endless = player(160, 0);
        assert!((0..1000).all(|_| endless.next(Codec::Pcmu, 20).is_some()));
        assert_eq!(endless.samples(), 160_000);
        assert!(player(0, 0).is_over());
    }
}
