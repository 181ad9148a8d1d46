//! What a load has seen, counted: one [`Lap`] a second, of which the sum is the whole.

use super::tap::Streams;
use hdrhistogram::Histogram;
use media::Quality;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use sip_core::endpoint::Failure;
use sip_core::message::StatusCode;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Significant digits of a latency: its error is below a thousandth of it.
const DIGITS: u8 = 3;
/// What takes longer counts as this.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How long something took, many times: a histogram in microseconds.
#[derive(Clone)]
pub struct Latency(Histogram<u64>);

impl fmt::Debug for Latency {
    /// What it says, without its thousands of buckets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [0.5, 0.99].map(|quantile| self.quantile_ms(quantile));
        write!(f, "Latency({} of {p50:?} ms, p99 {p99:?} ms, max {:?} ms)", self.count(), self.max_ms())
    }
}

impl Default for Latency {
    fn default() -> Self {
        // Only a number of digits above 5 is refused.
        #[allow(clippy::expect_used, reason = "a constant")]
        Self(Histogram::new(DIGITS).expect("three digits are allowed"))
    }
}

impl Latency {
    /// Counts one.
    pub fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.min(LONGEST).as_micros()).unwrap_or(u64::MAX);
        // It fails only where it may not grow, and it may.
        let _ = self.0.record(micros);
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        // It fails only where it may not grow, and it may.
        let _ = self.0.add(&other.0);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// What a share of `quantile` (0 to 1) stayed within, in milliseconds; `None` where nothing was counted.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1_000.0)
    }

    /// The shape of it, for a plot: shares of all that took no longer (0 to 1), and how long that was in milliseconds.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let steps = self.0.iter_quantiles(2).filter(|step| step.count_since_last_iteration() > 0);
        steps.map(|step| (step.quantile(), step.value_iterated_to() as f64 / 1_000.0)).collect()
    }

    /// The longest, in milliseconds.
    #[must_use]
    pub fn max_ms(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.max() as f64 / 1_000.0)
    }

    /// The mean, in milliseconds.
    #[must_use]
    pub fn mean_ms(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.mean() / 1_000.0)
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut latency = serializer.serialize_struct("Latency", 7)?;
        latency.serialize_field("count", &self.count())?;
        latency.serialize_field("mean_ms", &self.mean_ms())?;
        for (name, quantile) in [("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999)] {
            latency.serialize_field(name, &self.quantile_ms(quantile))?;
        }
        latency.serialize_field("max_ms", &self.max_ms())?;
        latency.end()
    }
}

/// How long each stage took. All but `hang_up` count from the time at which the call was *due*, so that a call that a slow
/// start held up counts as slow (no coordinated omission).
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stages {
    /// To the first 100 (Trying).
    pub trying: Latency,
    /// To the first other provisional.
    pub ringing: Latency,
    /// To the 2xx.
    pub answer: Latency,
    /// From the time at which the BYE was due to its 2xx.
    pub hang_up: Latency,
    /// From the time at which a call was due to its start: our own lateness, and no fault of the target's.
    pub lateness: Latency,
}

impl Stages {
    fn merge(&mut self, other: &Self) {
        self.trying.merge(&other.trying);
        self.ringing.merge(&other.ringing);
        self.answer.merge(&other.answer);
        self.hang_up.merge(&other.hang_up);
        self.lateness.merge(&other.lateness);
    }
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The INVITE's final response, 300 and above.
    Status(u16),
    /// Nothing for 64·T1.
    Timeout,
    /// Provisionals, and no final response in the time given.
    NoAnswer,
    /// The transport said no: nobody listens there, or the connection went.
    Transport,
    /// The target's name has no address.
    Unresolved,
    /// A challenge that could not be answered, or an answer refused.
    Challenge,
    /// Our own user agent holds as much as it may ([`super::MAX_TRANSACTIONS`]).
    Full,
    /// No RTP port of ours was free or could be bound.
    NoPort,
    /// Answered with a description that is no answer to ours.
    Description,
    /// The call was up, and its BYE was answered so.
    ByeStatus(u16),
    /// The call was up, and its BYE was not answered.
    ByeTimeout,
    /// The call was up, and was lost: the far end knows it no more, or does not speak.
    Lost,
}

impl Reason {
    /// Why an INVITE failed; `None` where we have given it up ourselves.
    #[must_use]
    pub fn of(failure: &Failure) -> Option<Self> {
        Some(match failure {
            Failure::Response(message) => Self::Status(message.status().map_or(0, StatusCode::code)),
            Failure::Timeout | Failure::TryTimeout => Self::Timeout,
            Failure::NoAnswer => Self::NoAnswer,
            Failure::Transport(_) => Self::Transport,
            Failure::Unresolved => Self::Unresolved,
            Failure::Auth(..) => Self::Challenge,
            Failure::Canceled => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phrase = |code: u16| StatusCode::new(code).map_or("", StatusCode::reason);
        match self {
            Self::Status(code) => write!(f, "{code} {}", phrase(*code)),
            Self::Timeout => f.write_str("no response (timer B)"),
            Self::NoAnswer => f.write_str("no final response in time"),
            Self::Transport => f.write_str("transport error"),
            Self::Unresolved => f.write_str("name not resolved"),
            Self::Challenge => f.write_str("challenge not met"),
            Self::Full => f.write_str("the load's own tables are full"),
            Self::NoPort => f.write_str("no RTP port"),
            Self::Description => f.write_str("unusable answer"),
            Self::ByeStatus(code) => write!(f, "BYE answered {code} {}", phrase(*code)),
            Self::ByeTimeout => f.write_str("BYE not answered"),
            Self::Lost => f.write_str("lost after the answer"),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The calls that failed for one reason.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Failed {
    /// How many.
    pub calls: u64,
    /// How long it took until that was known, from the time at which the call (or its BYE) was due.
    pub latency: Latency,
    /// How many of the responses carried Retry-After.
    pub retry_after: u64,
    /// The longest Retry-After, in seconds.
    pub retry_after_max_s: u32,
    /// What was said about the first of them.
    pub detail: Option<String>,
}

impl Failed {
    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.latency.merge(&other.latency);
        self.retry_after += other.retry_after;
        self.retry_after_max_s = self.retry_after_max_s.max(other.retry_after_max_s);
        if self.detail.is_none() {
            self.detail.clone_from(&other.detail);
        }
    }
}

macro_rules! counts {
    ($(#[$head:meta])* $kind:ident { $($(#[$doc:meta])* $name:ident,)+ }) => {
        $(#[$head])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct $kind {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl $kind {
            /// Adds another's.
            pub fn merge(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

counts! {
    /// What has happened. Once a load is over: `due = started + not_started`, `started = answered + failed + given_up`,
    /// `answered = hung_up + ended_by_peer + dropped`.
    Counts {
        /// Calls whose time has come.
        due,
        /// Calls begun.
        started,
        /// Calls that were due and not begun: too many stood or were under way ([`super::MAX_IN_FLIGHT`]).
        not_started,
        /// INVITEs with a 2xx.
        answered,
        /// INVITEs that ended without one.
        failed,
        /// INVITEs that we have given up ourselves, at an early end.
        given_up,
        /// Calls that we have ended, our BYE answered with 2xx.
        hung_up,
        /// Calls that the far end has ended.
        ended_by_peer,
        /// Calls that were up and did not end as they should.
        dropped,
        /// Calls that came to us and were answered: other legs of ours, where the target bridges to us.
        taken,
        /// Calls that came to us and were refused.
        refused,
        /// Keys pressed (RFC 4733).
        digits_sent,
        /// Keys heard, on any leg.
        digits_heard,
        /// Challenges (401, 407) to an INVITE.
        challenged,
        /// SIP messages sent, copies included.
        sent,
        /// SIP messages received, copies included.
        received,
        /// Of those sent, copies.
        resent,
        /// Of those received, copies.
        received_again,
    }
}

counts! {
    /// What the media of the calls that have ended was like.
    Rtp {
        /// Streams that ended.
        streams,
        /// Packets sent.
        sent,
        /// Packets received.
        received,
        /// Packets that should have come and did not (RFC 3550 §A.3).
        lost,
        /// Streams on which nothing was ever received.
        silent,
        /// Streams that lost a packet.
        lossy,
    }
}

/// What was seen in one second.
#[derive(Clone, Debug, Default)]
pub struct Lap {
    /// Which second, from 0.
    pub second: u64,
    /// What has happened in it.
    pub counts: Counts,
    /// Calls that stand or are under way at its end.
    pub in_flight: u64,
    /// Of these, those that are answered.
    pub standing: u64,
    /// How long each stage took.
    pub stages: Stages,
    /// What failed.
    pub failures: BTreeMap<Reason, Failed>,
    /// What became of the media.
    pub rtp: Rtp,
    /// The most that a stream lost, in millionths of what it should have had.
    pub worst_loss_ppm: u32,
    /// The jitter of each stream that ended (RFC 3550 §6.4.1).
    pub jitter: Latency,
    /// What the target calls itself (RFC 3261 §20.35), as the first response said that had it.
    pub server: Option<String>,
    /// What was measured on the streams; the rim fills it in, which alone knows when packets came.
    pub streams: Streams,
}

impl Lap {
    /// Counts a failure.
    pub fn fail(&mut self, reason: Reason, after: Duration) -> &mut Failed {
        let failed = self.failures.entry(reason).or_default();
        failed.calls += 1;
        failed.latency.record(after);
        failed
    }

    /// Counts a stream that has ended.
    pub fn hear(&mut self, quality: &Quality) {
        let (heard, rtp) = (&quality.received, &mut self.rtp);
        rtp.streams += 1;
        rtp.sent += quality.sent.packets;
        rtp.received += heard.packets;
        rtp.lost += heard.lost;
        rtp.lossy += u64::from(heard.lost > 0);
        self.worst_loss_ppm = self.worst_loss_ppm.max(heard.loss_ppm);
        if heard.packets == 0 {
            rtp.silent += 1;
        } else {
            self.jitter.record(Duration::from_secs_f64(heard.jitter_ms.max(0.0) / 1_000.0));
        }
    }

    /// Adds another: of the same second and another shard, or of another second to a whole. The gauges are left alone.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.stages.merge(&other.stages);
        for (reason, failed) in &other.failures {
            self.failures.entry(*reason).or_default().merge(failed);
        }
        self.rtp.merge(&other.rtp);
        self.worst_loss_ppm = self.worst_loss_ppm.max(other.worst_loss_ppm);
        self.jitter.merge(&other.jitter);
        self.streams.merge(&other.streams);
        if self.server.is_none() {
            self.server.clone_from(&other.server);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_its_value_within_a_thousandth() {
        let mut latency = Latency::default();
        assert_eq!((latency.quantile_ms(0.5), latency.max_ms()), (None, None));
        (1..=1_000).for_each(|ms| latency.record(Duration::from_millis(ms)));
        for (quantile, ms) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0)] {
            let seen = latency.quantile_ms(quantile).unwrap();
            assert!((seen / ms - 1.0).abs() < 0.001, "{quantile}: {seen}");
        }
        let json = serde_json::to_value(&latency).unwrap();
        assert_eq!((&json["count"], json["p50_ms"].as_f64().unwrap().round()), (&1_000.into(), 500.0));
    }

    #[test]
    fn laps_add_up() {
        let mut whole = Lap::default();
        for _ in 0..3 {
            let mut lap = Lap::default();
            lap.counts.started = 2;
            lap.fail(Reason::Status(503), Duration::from_millis(4)).retry_after += 1;
            lap.fail(Reason::Timeout, Duration::from_secs(32)).detail = Some("first".to_owned());
            whole.merge(&lap);
        }
        assert_eq!(whole.counts.started, 6);
        let refused = &whole.failures[&Reason::Status(503)];
        assert_eq!((refused.calls, refused.retry_after, refused.latency.count()), (3, 3, 3));
        assert_eq!(Reason::Status(503).to_string(), "503 Service Unavailable");
    }
}
