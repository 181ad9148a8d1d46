//! The pool of RTP ports: even for RTP, the odd one above for RTCP (RFC 3550 §11).
//!
//! A port given back rests for [`PORT_QUARANTINE`], and the one that rested longest is given out next, so that the late
//! packets of a dead call reach nobody.

use base::Now;
use std::{collections::VecDeque, fmt, str::FromStr, time::Duration};

/// How long a released port is kept from the next call at least: longer than packets of the old one stay on their way, and
/// than two lost BYEs keep its far end talking. Only a switch that sets up hundreds of calls a second comes down to it.
pub const PORT_QUARANTINE: Duration = Duration::from_secs(2);

/// A range of ports, both ends included, of which whole even-odd pairs are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// A range that gives no pair.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortRangeError {
    /// Not two numbers with a dash between.
    #[error("`{0}` is no port range; write it like 10000-31999")]
    Syntax(String),
    /// Privileged, or so narrow that no even port with its odd neighbour fits.
    #[error("{first}-{last} holds no RTP port pair; both ends are included, and ports begin at 1024")]
    Empty {
        /// Its first port.
        first: u16,
        /// Its last port.
        last: u16,
    },
}

impl PortRange {
    /// The range from `first` to `last`, both included.
    ///
    /// # Errors
    /// [`PortRangeError::Empty`] where no pair above 1023 fits.
    pub fn new(first: u16, last: u16) -> Result<Self, PortRangeError> {
        let range = Self { first, last };
        if first < 1024 || range.pairs().next().is_none() {
            Err(PortRangeError::Empty { first, last })
        } else {
            Ok(range)
        }
    }

    /// The RTP port of every pair, ascending.
    pub fn pairs(self) -> impl Iterator<Item = u16> {
        let even = u32::from(self.first).next_multiple_of(2);
        (even..u32::from(self.last)).step_by(2).filter_map(|port| u16::try_from(port).ok())
    }

    /// How many calls' ports it holds.
    #[must_use]
    pub fn capacity(self) -> usize {
        self.pairs().count()
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let syntax = || PortRangeError::Syntax(text.to_owned());
        let (first, last) = text.split_once('-').ok_or_else(syntax)?;
        let port = |part: &str| part.trim().parse().map_err(|_| syntax());
        Self::new(port(first)?, port(last)?)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Which ports are free, in use, or resting. Its size is the range's: exhausted, it gives `None` and the call is refused.
#[derive(Clone, Debug)]
pub struct PortPool {
    /// Free and resting ports with the time from which they may be taken, least recently used first. As every port
    /// rests equally long, the front is always the first to be ready.
    idle: VecDeque<(u16, u64)>,
    /// One flag a port number: taken and not yet given back.
    in_use: Vec<bool>,
    taken: usize,
}

impl PortPool {
    /// All pairs of the range, free.
    #[must_use]
    pub fn new(range: PortRange) -> Self {
        Self { idle: range.pairs().map(|port| (port, 0)).collect(), in_use: vec![false; 1 << 16], taken: 0 }
    }

    /// The RTP port that has rested longest; its RTCP port is the one above. `None`: all are in use or in quarantine.
    pub fn take(&mut self, now: Now) -> Option<u16> {
        let &(port, ready) = self.idle.front()?;
        if ready > now.mono {
            return None;
        }
        self.idle.pop_front();
        self.in_use[usize::from(port)] = true;
        self.taken += 1;
        Some(port)
    }

    /// Gives a port back, into quarantine. A port that was not out is refused with `false`: releasing twice cannot hand
    /// one port to two calls.
    pub fn release(&mut self, port: u16, now: Now) -> bool {
        if !std::mem::take(&mut self.in_use[usize::from(port)]) {
            return false;
        }
        self.taken -= 1;
        self.idle.push_back((port, now.after(PORT_QUARANTINE)));
        true
    }

    /// Ports that are out: zero when no call is up, or one has leaked.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.taken
    }

    /// Ports that rest.
    #[must_use]
    pub fn quarantined(&self, now: Now) -> usize {
        self.idle.iter().rev().take_while(|(_, ready)| *ready > now.mono).count()
    }

    /// Ports that could be taken now.
    #[must_use]
    pub fn available(&self, now: Now) -> usize {
        self.idle.len() - self.quarantined(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now::new(base::secs(seconds), 0)
    }

    #[test]
    fn a_range_gives_even_ports_whose_odd_neighbour_is_inside() {
        let ports = |text: &str| text.parse::<PortRange>().map(|range| range.pairs().collect::<Vec<_>>());
        assert_eq!(ports("10001-10006"), Ok(vec![10002, 10004]));
        assert_eq!(ports("65534-65535"), Ok(vec![65534]));
        assert_eq!(ports("10000-10000"), Err(PortRangeError::Empty { first: 10000, last: 10000 }));
        assert_eq!(ports("80-90"), Err(PortRangeError::Empty { first: 80, last: 90 }));
        assert_eq!(ports("1e4-"), Err(PortRangeError::Syntax("1e4-".into())));
        assert_eq!("10000-31999".parse::<PortRange>().unwrap().capacity(), 11_000);
    }

    #[test]
    fn a_released_port_rests_before_it_is_given_out_again() {
        let mut pool = PortPool::new(PortRange::new(10000, 10003).unwrap());
        assert_eq!([pool.take(at(0)), pool.take(at(0)), pool.take(at(0))], [Some(10000), Some(10002), None]);
        assert!(pool.release(10002, at(1)));
        assert!(pool.release(10000, at(2)));
        assert_eq!((pool.in_use(), pool.quarantined(at(2)), pool.available(at(2))), (0, 2, 0));
        assert_eq!(pool.take(at(2)), None);
        assert_eq!([pool.take(at(3)), pool.take(at(3)), pool.take(at(4))], [Some(10002), None, Some(10000)]);
    }

    #[test]
    fn releasing_twice_gives_the_port_to_one_call_only() {
        let mut pool = PortPool::new(PortRange::new(10000, 10001).unwrap());
        assert!(!pool.release(10000, at(0)));
        assert_eq!(pool.take(at(0)), Some(10000));
        assert!(pool.release(10000, at(0)));
        assert!(!pool.release(10000, at(0)));
        assert_eq!((pool.take(at(9)), pool.take(at(9))), (Some(10000), None));
    }
}
