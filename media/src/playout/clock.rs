//! When a packet is to be heard: the sender's clock on ours, and the delay that the network's jitter asks for.
//!
//! The quickest packet of every two seconds says how the clocks stand to each other, and a line through those how they
//! drift apart: its rate is followed slowly, so that two recordings stay in step for hours. A transit time is a packet's
//! arrival less its timestamp, in microseconds; only its changes mean anything.

use base::Now;

/// Microseconds of one window of the line.
const WINDOW: i64 = 2_000_000;

/// How much of what the line missed it moves at once, and how much its slope turns.
const LEVEL_GAIN: f64 = 0.5;
const SLOPE_GAIN: f64 = 0.1;

/// Windows in which each packet that is quicker than all before says where the line begins.
const FIRST_WINDOWS: u32 = 2;

/// The steepest drift that is believed: a thousandth, five times what crystals do.
const MAX_SLOPE: f64 = 1e-3;

/// A window that misses the line by more is a change of the route, and the line moves at once (microseconds).
const REROUTED: f64 = 20_000.0;

/// Windows of a second that the delay looks back on: after a burst it has come down when they have passed.
const LOOK_BACK: usize = 4;

/// The latest packets of each second that the delay does not wait for: 4 % at 20 ms.
const GIVEN_UP: usize = 2;

/// What the delay has above the jitter, and between which bounds it stays, in microseconds.
const MARGIN: i64 = 5_000;
const MIN_DELAY: i64 = 10_000;
const MAX_DELAY: i64 = 400_000;

/// The map from a sender's time to ours.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// The line: its level at `since`, and its slope.
    level: f64,
    slope: f64,
    since: i64,
    begun: bool,
    windows: u32,
    /// The quickest transit of the window, and when that began.
    quickest: Option<i64>,
    window: i64,
    /// `None`: the delay adapts.
    fixed: Option<i64>,
    jitter: Jitter,
}

/// How much later than the quickest the packets of the last seconds came.
#[derive(Clone, Copy, Debug, Default)]
struct Jitter {
    /// The latest of this second, descending, as many as are given up and one.
    latest: [i64; GIVEN_UP + 1],
    past: [i64; LOOK_BACK],
    began: i64,
    packet: i64,
}

impl Clock {
    pub(super) fn adaptive() -> Self {
        Self {
            level: 0.0,
            slope: 0.0,
            since: 0,
            begun: false,
            windows: 0,
            quickest: None,
            window: 0,
            fixed: None,
            jitter: Jitter::default(),
        }
    }

    pub(super) fn fixed(delay_ms: u32) -> Self {
        Self { fixed: Some(i64::from(delay_ms) * 1_000), ..Self::adaptive() }
    }

    /// A packet of `packet_ms` with that transit time came.
    pub(super) fn heard(&mut self, transit: i64, packet_ms: i64, now: Now) {
        let now = now.mono as i64 / 1_000;
        if !self.begun {
            (self.level, self.since, self.window, self.begun) = (transit as f64, now, now, true);
            self.jitter.began = now;
        }
        let behind = transit as f64 - self.line(now);
        // Quicker by far: what was thought the quickest is not.
        if behind < if self.windows < FIRST_WINDOWS { 0.0 } else { -REROUTED / 4.0 } {
            self.level = transit as f64 - self.slope * (now - self.since) as f64;
        }
        self.quickest = Some(self.quickest.map_or(transit, |quickest| quickest.min(transit)));
        self.jitter.heard(behind.max(0.0) as i64, packet_ms * 1_000, now);
        if now - self.window >= WINDOW {
            self.turn(now);
        }
    }

    fn line(&self, now: i64) -> f64 {
        self.level + self.slope * (now - self.since) as f64
    }

    /// A window is over: the line goes nearer to its quickest packet.
    fn turn(&mut self, now: i64) {
        let Some(quickest) = self.quickest.take() else { return };
        self.windows = self.windows.saturating_add(1);
        let missed = quickest as f64 - self.line(now);
        self.level = self.line(now);
        if missed.abs() > REROUTED {
            self.level += missed;
        } else {
            self.level += LEVEL_GAIN * missed;
            let turn = SLOPE_GAIN * missed / (now - self.window) as f64;
            self.slope = (self.slope + turn).clamp(-MAX_SLOPE, MAX_SLOPE);
        }
        (self.since, self.window) = (now, now);
    }

    /// The place, in samples, of what the quickest packet would bring now.
    pub(super) fn position(&self, now: Now, rate: i64) -> i64 {
        let now = now.mono as i64 / 1_000;
        ((now as f64 - self.line(now)) * rate as f64 / 1e6) as i64
    }

    /// How far behind that is to be played, in samples.
    pub(super) fn delay(&mut self, now: Now, rate: i64) -> i64 {
        let delay = self.fixed.unwrap_or_else(|| self.jitter.delay(now.mono as i64 / 1_000));
        delay * rate / 1_000_000
    }
}

impl Jitter {
    fn heard(&mut self, behind: i64, packet: i64, now: i64) {
        self.packet = packet;
        self.turn(now);
        let mut value = behind;
        for latest in &mut self.latest {
            if value > *latest {
                std::mem::swap(&mut value, latest);
            }
        }
    }

    fn turn(&mut self, now: i64) {
        if now - self.began >= 1_000_000 {
            self.past.rotate_right(1);
            self.past[0] = self.latest[GIVEN_UP];
            self.latest = [0; GIVEN_UP + 1];
            self.began = now;
        }
    }

    fn delay(&mut self, now: i64) -> i64 {
        self.turn(now);
        let jitter = self.past.iter().copied().fold(self.latest[GIVEN_UP], i64::max);
        (jitter + self.packet + MARGIN).clamp(MIN_DELAY, MAX_DELAY)
    }
}
