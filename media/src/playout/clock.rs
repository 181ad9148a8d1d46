//! When a packet is to be heard: the sender's clock on ours, and the delay that the network's jitter asks for.
//!
//! The quickest packet of every second says how the clocks stand to each other, and a line through those how they drift
//! apart: the first few count as much as each other, after that the line is turned slowly, so that two recordings stay in
//! step for hours. A transit time is a packet's arrival less its timestamp, in microseconds; only its changes mean
//! anything.

use base::Now;

/// Microseconds of one window of the line.
const WINDOW: i64 = 1_000_000;

/// How much of what a window missed the line by its level moves, and its slope turns, at least. Before those are reached
/// they are what the least squares of all windows so far ask for: 1 and 0, then 1 and 1, 5/6 and 1/2, and so on.
const LEVEL_GAIN: f64 = 0.2;
const SLOPE_GAIN: f64 = 0.02;

/// The steepest drift that is believed: a thousandth, five times what crystals do.
const MAX_SLOPE: f64 = 1e-3;

/// A window that misses the line by more is a change of the route, and the line moves at once (microseconds).
const REROUTED: f64 = 20_000.0;

/// One that misses it by more than this may be one, or chance: the line waits for the next, and where that misses it too, to
/// the same side, it moves.
const DOUBTFUL: f64 = 3_000.0;

/// What comes so much sooner than the quickest packet is of another timeline (microseconds). So is what comes too late to be
/// heard for so long, each packet about as late as the first: what was only held up comes all at once.
const EARLY: f64 = 100_000.0;
const LATE_FOR: i64 = 60_000;
const AS_LATE: f64 = 40_000.0;

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
    /// How far behind the line the quickest packet of the window came, and when the window began.
    quickest: Option<f64>,
    /// By how much the window before missed the line, where that was doubtful.
    doubt: Option<f64>,
    /// How late the first was of those that come too late, when it came, and what the jitter was until then.
    late: Option<(f64, i64, Jitter)>,
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
            doubt: None,
            late: None,
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
        let mut behind = transit as f64 - self.line(now);
        // In the first window each packet that is quicker than all before says where the line begins; later one that is
        // quicker by far: what was thought the quickest is not.
        if behind < if self.windows == 0 { 0.0 } else { -REROUTED / 4.0 } {
            self.level += behind;
            self.quickest = self.quickest.map(|quickest| quickest - behind);
            behind = 0.0;
        }
        self.quickest = Some(self.quickest.map_or(behind, |quickest| quickest.min(behind)));
        self.jitter.heard(behind.max(0.0) as i64, packet_ms * 1_000, now);
        if now - self.window >= WINDOW {
            self.turn(now);
        }
    }

    /// Whether the sender's clock was set, and nobody said so. `over`: the packet of that transit time is too late to be heard.
    pub(super) fn is_elsewhere(&mut self, transit: i64, over: bool, now: Now) -> bool {
        let now = now.mono as i64 / 1_000;
        if !self.begun {
            return false;
        }
        let behind = transit as f64 - self.line(now);
        let late = self.late.filter(|(first, ..)| over && (behind - first).abs() < AS_LATE);
        self.late = over.then(|| late.unwrap_or((behind, now, self.jitter)));
        match late.filter(|(_, since, _)| now - since >= LATE_FOR) {
            Some((_, _, before)) => {
                // It was no jitter.
                self.jitter = before;
                true
            }
            None => behind < -EARLY,
        }
    }

    /// Another timeline begins where the old one stands: where its line is, its first second says.
    pub(super) fn begin_again(&mut self, now: Now) {
        (self.windows, self.quickest, self.window) = (0, None, now.mono as i64 / 1_000);
        (self.doubt, self.late) = (None, None);
    }

    fn line(&self, now: i64) -> f64 {
        self.level + self.slope * (now - self.since) as f64
    }

    /// A window is over: the line goes nearer to its quickest packet.
    fn turn(&mut self, now: i64) {
        let Some(missed) = self.quickest.take() else { return };
        self.windows = self.windows.saturating_add(1);
        let (level_gain, slope_gain) = gains(self.windows);
        self.level = self.line(now);
        let doubt = self.doubt.take();
        if missed.abs() > REROUTED {
            self.level += missed;
        } else if missed.abs() > DOUBTFUL {
            match doubt.filter(|doubt| doubt.signum() == missed.signum()) {
                Some(doubt) => self.level += if doubt.abs() < missed.abs() { doubt } else { missed },
                None => self.doubt = Some(missed),
            }
        } else {
            self.level += level_gain * missed;
            let turn = slope_gain * missed / (now - self.window) as f64;
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

/// How much of what the window of that number missed the line by counts for its level, and for its slope a window.
fn gains(window: u32) -> (f64, f64) {
    let n = f64::from(window);
    let (level, slope) = (2.0 * (2.0 * n - 1.0) / (n * (n + 1.0)), 6.0 / (n * (n + 1.0)));
    (level.max(LEVEL_GAIN), if window < 2 { 0.0 } else { slope.max(SLOPE_GAIN) })
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
