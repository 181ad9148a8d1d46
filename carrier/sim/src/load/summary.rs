//! All laps of all shards together: the whole so far, and each second of it.

use super::tally::{Counts, Lap, Latency};
use serde::Serialize;
use std::collections::BTreeMap;

/// Seconds that are kept one by one: a day. Later ones count in the whole only.
pub const MAX_SECONDS: usize = 86_400;

/// One second of a load, all shards together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Second {
    /// Which, from 0.
    pub second: u64,
    /// Calls that were due in it.
    pub due: u64,
    /// Calls started in it.
    pub started: u64,
    /// Calls answered in it: the goodput.
    pub answered: u64,
    /// Calls that failed in it, before or after their answer.
    pub failed: u64,
    /// SIP messages sent once more in it.
    pub resent: u64,
    /// Calls that stood or were under way at its end.
    pub in_flight: u64,
    /// INVITE to 200, the median of the calls answered in it; `None` where there were none.
    pub answer_p50_ms: Option<f64>,
    /// The same, 99 of 100.
    pub answer_p99_ms: Option<f64>,
    /// How late the far ends' packets were that were judged in it, 99 of 100.
    pub late_p99_ms: Option<f64>,
    /// How long our packets were away that came back in it, 99 of 100.
    pub away_p99_ms: Option<f64>,
}

impl Second {
    fn of(lap: &Lap) -> Self {
        let counts = &lap.counts;
        Self {
            second: lap.second,
            due: counts.due,
            started: counts.started,
            answered: counts.answered,
            failed: counts.failed + counts.dropped,
            resent: counts.resent,
            in_flight: lap.in_flight,
            answer_p50_ms: lap.stages.answer.quantile_ms(0.5),
            answer_p99_ms: lap.stages.answer.quantile_ms(0.99),
            late_p99_ms: lap.streams.late.quantile_ms(0.99),
            away_p99_ms: lap.streams.away.quantile_ms(0.99),
        }
    }
}

/// See the head of this file.
#[derive(Debug)]
pub struct Summary {
    whole: Lap,
    seconds: Vec<Second>,
    /// Seconds that some shards have told and others have not: how many have.
    open: BTreeMap<u64, (usize, Lap)>,
    /// Shards that have not finished.
    running: usize,
    most_standing: u64,
    most_in_flight: u64,
}

impl Summary {
    /// Nothing seen yet, of so many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self {
            whole: Lap::default(),
            seconds: Vec::new(),
            open: BTreeMap::new(),
            running: shards,
            most_standing: 0,
            most_in_flight: 0,
        }
    }

    /// Takes in a shard's lap; gives the second that is complete by it, if one is.
    pub fn lap(&mut self, lap: &Lap) -> Option<Second> {
        self.whole.merge(lap);
        let (told, sum) = self.open.entry(lap.second).or_default();
        *told += 1;
        sum.second = lap.second;
        sum.merge(lap);
        sum.in_flight += lap.in_flight;
        sum.standing += lap.standing;
        (*told >= self.running).then(|| self.close(lap.second)).flatten()
    }

    /// A shard has told its last lap.
    pub fn finished(&mut self) {
        self.running = self.running.saturating_sub(1);
        if self.running == 0 {
            while let Some((&second, _)) = self.open.first_key_value() {
                self.close(second);
            }
        }
    }

    fn close(&mut self, second: u64) -> Option<Second> {
        let (_, lap) = self.open.remove(&second)?;
        self.most_in_flight = self.most_in_flight.max(lap.in_flight);
        self.most_standing = self.most_standing.max(lap.standing);
        let closed = Second::of(&lap);
        if self.seconds.len() < MAX_SECONDS {
            self.seconds.push(closed);
            self.seconds.sort_by_key(|second| second.second);
        }
        Some(closed)
    }

    /// Everything so far. Its gauges mean nothing.
    #[must_use]
    pub const fn whole(&self) -> &Lap {
        &self.whole
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.whole.counts
    }

    /// INVITE to 200.
    #[must_use]
    pub const fn answer(&self) -> &Latency {
        &self.whole.stages.answer
    }

    /// Each second, in order.
    #[must_use]
    pub fn seconds(&self) -> &[Second] {
        &self.seconds
    }

    /// The most calls that stood at the end of a second.
    #[must_use]
    pub const fn most_standing(&self) -> u64 {
        self.most_standing
    }

    /// The most calls that stood or were under way at the end of a second.
    #[must_use]
    pub const fn most_in_flight(&self) -> u64 {
        self.most_in_flight
    }

    /// Calls that did not go as they should: not started, failed, dropped, or answered with what is no answer.
    #[must_use]
    pub fn bad_calls(&self) -> u64 {
        self.whole.failures.values().map(|failed| failed.calls).sum::<u64>() + self.whole.counts.not_started
    }

    /// Their share of the calls that were due, 0 to 1.
    #[must_use]
    pub fn bad_share(&self) -> f64 {
        self.bad_calls() as f64 / (self.whole.counts.due as f64).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lap(second: u64, answered: u64) -> Lap {
        let mut lap = Lap { second, in_flight: 5, ..Lap::default() };
        (lap.counts.due, lap.counts.started, lap.counts.answered) = (answered, answered, answered);
        (0..answered).for_each(|_| lap.stages.answer.record(Duration::from_millis(2)));
        lap
    }

    #[test]
    fn a_second_is_complete_when_every_shard_that_runs_has_told_it() {
        let mut summary = Summary::new(2);
        assert_eq!(summary.lap(&lap(0, 3)), None);
        assert_eq!(summary.lap(&lap(1, 1)), None);
        let first = summary.lap(&lap(0, 4)).unwrap();
        assert_eq!((first.second, first.answered, first.in_flight, first.answer_p50_ms), (0, 7, 10, Some(2.0)));
        summary.finished();
        assert_eq!(summary.lap(&lap(2, 2)).unwrap().answered, 2);
        summary.finished();
        let seconds: Vec<_> = summary.seconds().iter().map(|second| (second.second, second.answered)).collect();
        assert_eq!(seconds, [(0, 7), (1, 1), (2, 2)]);
        assert_eq!((summary.counts().answered, summary.most_in_flight(), summary.bad_calls()), (10, 10, 0));
    }
}
