//! How late packets are against the ideal grid of their own stream: its timestamps say when each was to leave, and the
//! packet that came soonest says where the grid lies. No clock but our own is asked.

/// Packets that are held against the same grid: a second of them at 20 ms. The grid is laid by the soonest of these and of
/// those before them, so that a far end's clock that drifts is not taken for lateness.
const WINDOW: usize = 50;
/// A step of the timestamp beyond this, two seconds at 8 kHz, is a new timeline.
const MAX_STEP: i32 = 16_000;
/// Nanoseconds a tick of an 8 kHz clock.
const TICK: i64 = 125_000;

/// What of a packet tells its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    /// A talkspurt begins (RFC 3551 §4.1): it has a grid of its own, as it may be played out with a delay of its own.
    pub(super) marker: bool,
}

/// The grid of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Grid {
    ssrc: Option<u32>,
    timestamp: u32,
    /// The timestamp without its wraps, from where the timeline began.
    ticks: i64,
    /// Arrival less timestamp, in nanoseconds, of the packets of this window.
    window: Vec<i64>,
    /// The soonest of the window before.
    before: Option<i64>,
}

impl Grid {
    /// Takes a packet that came, or left, at `at` (monotonic nanoseconds). Each is told as `late`, in nanoseconds, once its
    /// window is full.
    pub(super) fn packet(&mut self, place: Place, at: u64, late: &mut impl FnMut(u64)) {
        let step = place.timestamp.wrapping_sub(self.timestamp) as i32;
        if self.ssrc != Some(place.ssrc) || place.marker || step.abs() > MAX_STEP {
            self.flush(late);
            (self.ssrc, self.ticks, self.before) = (Some(place.ssrc), 0, None);
        } else {
            self.ticks += i64::from(step);
        }
        self.timestamp = place.timestamp;
        if self.window.capacity() == 0 {
            self.window.reserve_exact(WINDOW);
        }
        self.window.push(at as i64 - self.ticks * TICK);
        if self.window.len() == WINDOW {
            self.flush(late);
        }
    }

    /// Tells what is left.
    pub(super) fn flush(&mut self, late: &mut impl FnMut(u64)) {
        let Some(soonest) = self.window.iter().min().copied() else { return };
        let origin = self.before.map_or(soonest, |before| before.min(soonest));
        self.window.drain(..).for_each(|transit| late((transit - origin).unsigned_abs()));
        self.before = Some(soonest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::millis;

    /// Packets that leave every 20 ms and arrive so many milliseconds after that, `None`: never.
    fn late(first: u32, delays: impl IntoIterator<Item = Option<u64>>) -> Vec<u64> {
        let (mut grid, mut seen) = (Grid::default(), Vec::new());
        for (n, delay) in delays.into_iter().enumerate() {
            let Some(delay) = delay else { continue };
            let place = Place { ssrc: 1, timestamp: first.wrapping_add(n as u32 * 160), marker: n == 0 };
            grid.packet(place, millis(1_000 + n as u64 * 20 + delay), &mut |late| seen.push(late / millis(1)));
        }
        grid.flush(&mut |late| seen.push(late / millis(1)));
        seen
    }

    #[test]
    fn a_packet_is_as_late_as_it_is_behind_the_soonest() {
        let delays = [5, 3, 4, 9].map(Some);
        assert_eq!(late(0, delays), [2, 0, 1, 6]);
        assert_eq!(late(u32::MAX - 200, delays), [2, 0, 1, 6], "the timestamp wraps");
        assert_eq!(late(0, [Some(5), None, None, Some(7)]), [0, 2], "a lost packet makes nothing late");
    }

    #[test]
    fn a_stall_is_seen_by_each_packet_that_it_held_up() {
        let delays = (0..100).map(|n| if (60..65).contains(&n) { Some(100 - (n - 60) * 20) } else { Some(0) });
        let seen = late(0, delays);
        assert_eq!((seen.len(), &seen[58..66]), (100, &[0, 0, 100, 80, 60, 40, 20, 0][..]));
    }

    #[test]
    fn a_clock_that_drifts_is_not_late() {
        // 100 ms in ten minutes: 167 millionths, more than any crystal.
        let seen = late(0, (0..30_000).map(|n| Some(n / 300)));
        assert_eq!(seen.iter().max(), Some(&1));
    }

    #[test]
    fn another_source_and_a_new_talkspurt_have_grids_of_their_own() {
        let (mut grid, mut seen) = (Grid::default(), Vec::new());
        let mut packet = |ssrc, timestamp, marker, at| {
            grid.packet(Place { ssrc, timestamp, marker }, millis(at), &mut |late| seen.push(late));
        };
        packet(1, 0, true, 100);
        packet(2, 7_000, false, 130);
        packet(2, 7_160, true, 190);
        packet(2, 900_000, false, 200);
        grid.flush(&mut |late| seen.push(late));
        assert_eq!(seen, [0; 4]);
    }
}
