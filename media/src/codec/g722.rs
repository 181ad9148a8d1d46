//! How loud a stream of G.722 is, without decoding it: the scale factors of both bands follow from the codes alone (ITU-T
//! G.722 §3.5, blocks 3L and 3H), in a twentieth of a decoder's time.

/// The low band's changes by the four upper bits of its code, in thirty-two times a thousandth of an octave (table 3 and 8).
const LOW: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// The high band's, by its two bits.
const HIGH: [i32; 4] = [798, -214, 798, -214];

/// The greatest logarithmic scale factor of each band.
const LOW_MAX: i32 = 18_432;
const HIGH_MAX: i32 = 22_528;

/// Up to here, on the mean of a packet, a band is quiet: what white noise 64 dB below full scale has.
const LOW_QUIET: i32 = 3_900;
const HIGH_QUIET: i32 = 7_000;

/// The scale factors of a stream of 64 kbit/s, as its sender has them. Begun anywhere, they are right within some 50 ms: both
/// forget by one part in 128 each 125 µs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauge {
    low: i32,
    high: i32,
}

impl Gauge {
    /// Takes the next packet; whether all of it is quiet.
    pub(crate) fn is_quiet(&mut self, payload: &[u8]) -> bool {
        let [low, high] = self.means(payload);
        low <= LOW_QUIET && high <= HIGH_QUIET
    }

    /// The mean scale factors of the next packet.
    fn means(&mut self, payload: &[u8]) -> [i32; 2] {
        let mut sums = [0, 0];
        for &code in payload {
            let (low, high) = (usize::from(code >> 2 & 15), usize::from(code >> 6));
            self.low = follow(self.low, LOW.get(low).copied().unwrap_or(0), LOW_MAX);
            self.high = follow(self.high, HIGH.get(high).copied().unwrap_or(0), HIGH_MAX);
            sums = [sums[0] + self.low, sums[1] + self.high];
        }
        sums.map(|sum| sum / payload.len().max(1) as i32)
    }
}

fn follow(before: i32, change: i32, most: i32) -> i32 {
    (((before * 127) >> 7) + change).clamp(0, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, Encoder};
    use base::Rng;

    /// The share of packets of 20 ms that are quiet where noise of that peak is sent.
    fn quiet(peak: u64) -> f32 {
        let (mut rng, mut encoder, mut payload) = (Rng::from_u64(3), Encoder::new(Codec::G722, 16_000), [0; 160]);
        let mut gauge = Gauge::default();
        let packets = (0..100).filter(|_| {
            let noise: Vec<i16> = (0..320).map(|_| rng.below(2 * peak + 1) as i16 - peak as i16).collect();
            let length = encoder.encode(&noise, &mut payload);
            gauge.is_quiet(&payload[..length])
        });
        packets.count() as f32 / 100.0
    }

    #[test]
    fn a_quiet_room_is_quiet_and_what_is_to_be_heard_is_not() {
        let shares = [0, 10, 25, 60, 150, 400].map(quiet);
        assert!(shares[..3].iter().all(|share| *share > 0.95), "{shares:?}");
        // 56 dB below full scale and more.
        assert!(shares[4..].iter().all(|share| *share == 0.0), "{shares:?}");
    }

    #[test]
    fn begun_anywhere_it_is_right_after_a_tenth_of_a_second() {
        let (mut rng, mut encoder, mut payload) = (Rng::from_u64(4), Encoder::new(Codec::G722, 16_000), [0; 1_600]);
        let noise: Vec<i16> = (0..3_200).map(|_| rng.below(4_001) as i16 - 2_000).collect();
        let length = encoder.encode(&noise, &mut payload);
        let mut gauges = [Gauge::default(), Gauge { low: LOW_MAX, high: HIGH_MAX }];
        for gauge in &mut gauges {
            gauge.means(&payload[..length]);
        }
        let [left, right] = gauges;
        assert!((left.low - right.low).abs() < 200 && (left.high - right.high).abs() < 200, "{gauges:?}");
    }
}
