//! Bursts and gaps of loss (RFC 3611 §4.7.2 and appendix A.2): a burst is a stretch with losses no more than [`GMIN`]
//! packets apart, a gap what lies between two. A listener hears a burst, and hardly a lone loss in a gap.
//!
//! A packet that comes out of order was missed when it was due, and counts as lost here.

use serde::{Deserialize, Serialize};

/// Packets in a row without loss that end a burst (RFC 3611 §4.7.2, the recommended value).
pub const GMIN: u32 = 16;

/// Bursts and gaps so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BurstLoss {
    /// Lost packets within bursts, in millionths of those expected there.
    pub burst_ppm: u32,
    /// Lost packets within gaps, in millionths of those expected there.
    pub gap_ppm: u32,
    /// Mean duration of a burst, in milliseconds; 0 where there was none.
    pub burst_ms: u32,
    /// Mean duration of a gap, in milliseconds; without a burst, that of the stream.
    pub gap_ms: u32,
}

/// The counters of RFC 3611 appendix A.2: `cXY` are transitions from state X to Y, of 1 received in a gap, 2 received in
/// a burst, 3 lost in a burst, 4 lost alone in a gap.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bursts {
    /// Packets received since the last loss.
    run: u32,
    /// Losses since a gap last ended.
    lost: u32,
    c11: u64,
    c13: u64,
    c14: u64,
    c22: u64,
    c23: u64,
    c33: u64,
}

impl Bursts {
    /// A packet came in its turn.
    pub(crate) fn received(&mut self) {
        self.run = self.run.saturating_add(1);
    }

    /// So many are missing in its place.
    pub(crate) fn lost(&mut self, packets: u32) {
        if packets == 0 {
            return;
        }
        let run = std::mem::take(&mut self.run);
        self.lost_after(run);
        // The others follow a loss.
        self.lost = self.lost.saturating_add(packets - 1);
        self.c33 += u64::from(packets - 1);
    }

    fn lost_after(&mut self, run: u32) {
        if run >= GMIN {
            self.c11 += u64::from(run);
            self.end();
            self.lost = 1;
            return;
        }
        self.lost = self.lost.saturating_add(1);
        match run {
            0 => self.c33 += 1,
            run => {
                self.c23 += 1;
                self.c22 += u64::from(run - 1);
            }
        }
    }

    /// A gap has begun: what was lost before it was one alone, or a burst.
    fn end(&mut self) {
        match std::mem::take(&mut self.lost) {
            0 => {}
            1 => self.c14 += 1,
            _ => self.c13 += 1,
        }
    }

    /// What it comes to, at so many milliseconds a packet.
    pub(crate) fn report(&self, ms: f64) -> BurstLoss {
        let mut so_far = *self;
        so_far.c11 += u64::from(self.run);
        if self.run >= GMIN {
            so_far.end();
        }
        let Self { c11, c13, c14, c22, c23, c33, .. } = so_far;
        let [c11, c13, c14, c22, c23, c33] = [c11, c13, c14, c22, c23, c33].map(|count| count as f64);
        // What leaves a state has come to it: c31 is c13, c32 is c23.
        let total = c11 + c14 + c13 + c22 + c23 + c13 + c23 + c33;
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let p32 = share(c23, c13 + c23 + c33);
        let p23 = if c22 + c23 < 1.0 { 1.0 } else { 1.0 - c22 / (c22 + c23) };
        let in_bursts = if c13 > 0.0 { share(p23, p23 + p32) } else { 0.0 };
        let gap = if c13 > 0.0 { (c11 + c14 + c13) * ms / c13 } else { total * ms };
        let burst = if c13 > 0.0 { total * ms / c13 - gap } else { 0.0 };
        BurstLoss {
            burst_ppm: (in_bursts * 1e6).round() as u32,
            gap_ppm: (share(c14, c11 + c14) * 1e6).round() as u32,
            burst_ms: burst.round() as u32,
            gap_ms: gap.round() as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` received, `x` lost; 20 ms each.
    fn of(pattern: &str) -> BurstLoss {
        let mut bursts = Bursts::default();
        for packet in pattern.chars() {
            if packet == 'x' { bursts.lost(1) } else { bursts.received() }
        }
        bursts.report(20.0)
    }

    #[test]
    fn a_stream_without_loss_is_one_gap() {
        assert_eq!(of(&".".repeat(100)), BurstLoss { gap_ms: 2000, ..BurstLoss::default() });
    }

    #[test]
    fn lone_losses_are_a_gaps() {
        let lone = of(&format!("{}x", ".".repeat(49)).repeat(20));
        assert_eq!(lone.burst_ms, 0, "{lone:?}");
        assert!((19_000..21_000).contains(&lone.gap_ppm), "{lone:?}");
    }

    #[test]
    fn losses_close_together_are_a_burst_of_their_length() {
        // Every 200 packets, ten of which every second is lost: 19 packets from first to last loss.
        let burst = of(&format!("{}{}x", ".".repeat(181), "x.".repeat(9)).repeat(50));
        assert!((340..=420).contains(&burst.burst_ms), "{burst:?}");
        assert!((450_000..=560_000).contains(&burst.burst_ppm), "{burst:?}");
        assert!((3_600..=3_750).contains(&burst.gap_ms), "{burst:?}");
        assert_eq!(burst.gap_ppm, 0);
    }

    #[test]
    fn many_at_once_are_as_many_one_by_one() {
        let mut at_once = Bursts::default();
        (0..50).for_each(|_| at_once.received());
        at_once.lost(30);
        (0..20).for_each(|_| at_once.received());
        assert_eq!(at_once.report(20.0), of(&format!("{}{}{}", ".".repeat(50), "x".repeat(30), ".".repeat(20))));
    }
}
