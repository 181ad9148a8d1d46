//! When each call is due: an open loop's law, and nothing else. A call's time follows from its number alone, never from
//! what became of the calls before it.

use super::LoadError;
use std::time::Duration;

/// The most calls a second that may be asked for; more is refused as a slip of the pen.
pub const MAX_RATE: f64 = 1_000_000.0;

/// How many calls a second, over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// In order of time, each beginning where the one before it ends; the last goes on for ever.
    stretches: Vec<Stretch>,
    length: Option<Duration>,
}

/// A time in which the rate is even, or changes evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    /// Seconds from the start of the load.
    begins: f64,
    /// Calls due before it.
    before: f64,
    /// Calls a second at its beginning.
    rate: f64,
    /// By how much the rate grows in a second.
    slope: f64,
}

impl Stretch {
    /// Seconds from its beginning until so many calls have been due in it. The form without a difference of near equals.
    fn time_of(&self, calls: f64) -> f64 {
        let denominator = self.rate + (self.rate * self.rate + 2.0 * self.slope * calls).max(0.0).sqrt();
        if denominator > 0.0 { 2.0 * calls / denominator } else { 0.0 }
    }

    /// The next one, after so many seconds.
    fn then(&self, seconds: f64, rate: f64, slope: f64) -> Self {
        let calls = self.rate * seconds + self.slope * seconds * seconds / 2.0;
        Self { begins: self.begins + seconds, before: self.before + calls, rate, slope }
    }
}

impl Pace {
    /// The same rate all the time.
    ///
    /// # Errors
    /// A rate that is not above 0, or above [`MAX_RATE`].
    pub fn even(rate: f64) -> Result<Self, LoadError> {
        let rate = positive(rate)?;
        Ok(Self { stretches: vec![Stretch { begins: 0.0, before: 0.0, rate, slope: 0.0 }], length: None })
    }

    /// From one rate to another in so much time, and then on at that.
    ///
    /// # Errors
    /// As [`Pace::even`], except that the first rate may be 0; a ramp that takes no time.
    pub fn ramp(from: f64, to: f64, over: Duration) -> Result<Self, LoadError> {
        let to = positive(to)?;
        let from = if from == 0.0 { from } else { positive(from)? };
        let seconds = some_time(over)?;
        let first = Stretch { begins: 0.0, before: 0.0, rate: from, slope: (to - from) / seconds };
        Ok(Self { stretches: vec![first, first.then(seconds, to, 0.0)], length: Some(over) })
    }

    /// One rate after the other, each for so much time; the last goes on.
    ///
    /// # Errors
    /// As [`Pace::even`]; no rate, or steps that take no time.
    pub fn steps(rates: &[f64], each: Duration) -> Result<Self, LoadError> {
        let seconds = some_time(each)?;
        let mut stretches: Vec<Stretch> = Vec::with_capacity(rates.len());
        for rate in rates {
            let rate = positive(*rate)?;
            let first = Stretch { begins: 0.0, before: 0.0, rate, slope: 0.0 };
            stretches.push(stretches.last().map_or(first, |last| last.then(seconds, rate, 0.0)));
        }
        let count = u32::try_from(stretches.len()).ok().filter(|count| *count > 0).ok_or(LoadError::NoRate)?;
        Ok(Self { stretches, length: Some(each.saturating_mul(count)) })
    }

    /// When call `n` is due, counted from the first call of all; never earlier than call `n - 1`.
    #[must_use]
    pub fn due(&self, n: u64) -> Duration {
        let n = n as f64;
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.before <= n).or(self.stretches.first());
        let seconds = stretch.map_or(0.0, |stretch| stretch.begins + stretch.time_of(n - stretch.before));
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Calls a second at a time after the start.
    #[must_use]
    pub fn rate_at(&self, time: Duration) -> f64 {
        let seconds = time.as_secs_f64();
        let stretch = self.stretches.iter().rev().find(|stretch| stretch.begins <= seconds);
        stretch.map_or(0.0, |stretch| stretch.rate + stretch.slope * (seconds - stretch.begins))
    }

    /// How long a ramp or steps take; `None` for an even rate.
    #[must_use]
    pub const fn length(&self) -> Option<Duration> {
        self.length
    }
}

fn positive(rate: f64) -> Result<f64, LoadError> {
    if rate > 0.0 && rate <= MAX_RATE { Ok(rate) } else { Err(LoadError::Rate(rate)) }
}

fn some_time(time: Duration) -> Result<f64, LoadError> {
    if time.is_zero() { Err(LoadError::NoTime) } else { Ok(time.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(pace: &Pace, n: u64) -> u128 {
        (pace.due(n) + Duration::from_micros(500)).as_millis()
    }

    #[test]
    fn an_even_pace_spaces_calls_evenly() {
        let pace = Pace::even(200.0).unwrap();
        assert_eq!([0, 1, 200, 12_000].map(|n| ms(&pace, n)), [0, 5, 1_000, 60_000]);
        assert_eq!(pace.rate_at(Duration::from_secs(9)), 200.0);
    }

    #[test]
    fn a_ramp_holds_as_many_calls_as_the_area_under_it() {
        // 0 to 100 a second in 10 s: 500 calls, the 125th at half the time.
        let pace = Pace::ramp(0.0, 100.0, Duration::from_secs(10)).unwrap();
        assert_eq!([0, 125, 500, 600].map(|n| ms(&pace, n)), [0, 5_000, 10_000, 11_000]);
        assert_eq!(pace.rate_at(Duration::from_secs(5)), 50.0);
        let down = Pace::ramp(100.0, 50.0, Duration::from_secs(2)).unwrap();
        assert_eq!([150, 200].map(|n| ms(&down, n)), [2_000, 3_000]);
    }

    #[test]
    fn steps_follow_each_other_and_the_last_goes_on() {
        let pace = Pace::steps(&[10.0, 20.0], Duration::from_secs(1)).unwrap();
        assert_eq!([9, 10, 11, 30, 50].map(|n| ms(&pace, n)), [900, 1_000, 1_050, 2_000, 3_000]);
        assert_eq!(pace.length(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e6] {
            assert!(Pace::even(rate).is_err(), "{rate}");
        }
        assert!(Pace::ramp(1.0, 2.0, Duration::ZERO).is_err());
        assert!(Pace::steps(&[], Duration::from_secs(1)).is_err());
    }

    proptest! {
        #[test]
        fn calls_are_due_in_order_and_as_many_as_the_rates_say(
            from in 0.0..5_000.0_f64, to in 1.0..5_000.0_f64, seconds in 1_u64..100, n in 0_u64..200_000,
        ) {
            let over = Duration::from_secs(seconds);
            let pace = Pace::ramp(from, to, over).unwrap();
            prop_assert!(pace.due(n) <= pace.due(n + 1));
            let area = (from + to) / 2.0 * seconds as f64;
            let after = pace.due(area as u64 + 1 + to as u64);
            prop_assert!((after.as_secs_f64() - seconds as f64 - 1.0).abs() < 1.0 / to + 0.01, "{after:?}");
        }
    }
}
