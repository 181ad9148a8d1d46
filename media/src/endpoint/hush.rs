//! Keys in the sound of a bridged peer that has no telephone-event, where our far end takes telephone-events: it is told of
//! them by events (the switch presses what the ear has heard), and so is not to hear them as tones besides. A gateway
//! that makes a tone of the event again would press each key twice.
//!
//! Silenced are the packets in which a block of the sound is a key, and those until a block is none. What has passed by
//! then is less than two blocks of 12.75 ms, and no detector may take that for a key (ITU-T Q.24 §5.3: 40 ms must be heard,
//! and ours wants two whole blocks). G.711 that is only relayed is decoded for it and goes on octet by octet as it came.
//! G.722 and Opus that two legs share are not decoded: there the tone goes by as audio, beside the event. Both are codecs of
//! phones, which have telephone-event.

use super::{Endpoint, Passed, Stream};
use crate::command::StreamConfig;
use crate::detect::keys::KeyDetector;
use crate::resample::Resampler;

/// Samples a second that the detector is told.
const RATE: u32 = 8_000;

/// Samples of the longest packet at that rate, and more than the detector takes at once.
const MAX_NARROW: usize = 1_024;

/// Who listens to the peer's sound for keys.
#[derive(Debug)]
pub(super) struct Hush {
    detector: KeyDetector,
    resampler: Option<Resampler>,
    narrow: Box<[i16]>,
}

impl Hush {
    pub(super) fn new(rate: u32) -> Self {
        let (detector, resampler) = (KeyDetector::default(), Resampler::new(rate, RATE));
        Self { detector, resampler, narrow: vec![0; MAX_NARROW].into() }
    }

    /// Whether the next packet's sound is to be silenced.
    pub(super) fn silences(&mut self, samples: &[i16]) -> bool {
        let Self { detector, resampler, narrow } = self;
        match resampler {
            Some(resampler) => {
                let length = resampler.process(samples, narrow);
                detector.sounds(narrow.get(..length).unwrap_or_default())
            }
            None => detector.sounds(samples),
        }
    }
}

/// The peer's keys are tones, and our far end is told of them by events.
pub(super) fn is_wanted(passed: &Passed<'_>, config: &StreamConfig) -> bool {
    passed.tones && config.dtmf_out.is_some()
}

impl Endpoint {
    /// Silences G.711 on its way, in our law, where it is a key.
    #[cold]
    #[inline(never)]
    pub(super) fn hush_relayed(&mut self, stream: &Stream, payload: &mut [u8]) {
        let hush = self.audio.get_or_insert_default().hush.get_or_insert_with(|| Hush::new(RATE));
        let mut samples = [0; MAX_NARROW];
        // A longer packet than any phone sends is 128 ms of a tone at most.
        let length = stream.config.codec.decode(payload, &mut samples);
        if hush.silences(samples.get(..length).unwrap_or_default()) {
            payload.fill(stream.config.codec.silence());
        }
    }
}
