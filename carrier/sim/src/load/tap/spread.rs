//! A small histogram, for what every one of thousands of streams has: a time within a quarter of itself.

/// Divisions of each doubling.
const STEPS: usize = 4;
/// From one microsecond to 2^24, 17 s; what is longer counts as that.
const BUCKETS: usize = 24 * STEPS;

/// How long something took, many times.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    buckets: Box<[u32; BUCKETS]>,
    count: u64,
    longest: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), count: 0, longest: 0 }
    }
}

impl Spread {
    /// Counts one, in nanoseconds.
    pub(super) fn record(&mut self, nanos: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanos / 1_000)) {
            *bucket += 1;
        }
        self.count += 1;
        self.longest = self.longest.max(nanos);
    }

    /// The time that 99 of 100 stayed within, in nanoseconds; `None` where nothing was counted.
    pub(super) fn p99(&self) -> Option<u64> {
        let wanted = self.count - self.count / 100;
        let mut seen = 0;
        let reaches = |count: &u32| {
            seen += u64::from(*count);
            seen >= wanted
        };
        let bucket = self.buckets.iter().position(reaches).filter(|_| self.count > 0)?;
        Some((upper_end(bucket) * 1_000).min(self.longest))
    }
}

/// Below five microseconds all is one bucket.
fn bucket_of(micros: u64) -> usize {
    let micros = micros.max(STEPS as u64);
    let octave = micros.ilog2() as usize;
    let step = (micros >> (octave - 2)) as usize & (STEPS - 1);
    (octave * STEPS + step).min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> u64 {
    let (octave, step) = (bucket / STEPS, bucket % STEPS);
    if octave < 2 { STEPS as u64 } else { ((STEPS + step + 1) as u64) << (octave - 2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_nine_of_a_hundred_are_within_a_quarter_of_what_is_said() {
        let mut spread = Spread::default();
        assert_eq!(spread.p99(), None);
        (1..=1_000).for_each(|micros| spread.record(micros * 1_000));
        let p99 = spread.p99().unwrap();
        assert!((990_000..=1_000_000).contains(&p99), "{p99}");
        spread.record(u64::MAX);
        (0..200_000).for_each(|_| spread.record(0));
        assert_eq!(spread.p99(), Some(5_000));
    }
}
