//! The end of the journal in memory: what the writer has just brought to disk, for the projector to take without reading
//! and parsing it again.
//!
//! It is a convenience and nothing more: an entry is known by where it lies in the file, and a projector that finds what
//! it needs next no longer here reads it from there.

use super::Position;
use super::frame::Entry;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries kept at most. Beyond it the oldest go, and the projector reads them from the file.
pub const ENTRIES: usize = 65_536;

/// Octets of payload kept at most. Beyond it the oldest entries go likewise.
pub const OCTETS: usize = 64 << 20;

/// An entry that is on disk.
#[derive(Clone, Debug)]
pub struct Durable {
    /// What it says.
    pub entry: Entry,
    /// Its payload, as it lies in the file.
    pub json: Bytes,
    /// Where the journal went on before it.
    pub from: Position,
    /// Where it goes on behind it.
    pub to: Position,
}

/// What the tail has from a place on.
#[derive(Debug)]
pub enum Found {
    /// These come next, without a gap.
    Next(Vec<Durable>),
    /// It begins only here: what lies before is in the file alone.
    From(Position),
    /// Nothing.
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Durable>,
    octets: usize,
}

/// The tail, between the writer and the projector.
#[derive(Debug, Default)]
pub struct Tail {
    state: Mutex<State>,
}

impl Tail {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever panics elsewhere: a queue that lacks entries is one that the file stands in for.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what has come to lie on disk, in order.
    pub fn push(&self, entries: impl IntoIterator<Item = Durable>) {
        let mut state = self.state();
        for entry in entries {
            state.octets += entry.json.len();
            state.entries.push_back(entry);
        }
        while state.entries.len() > ENTRIES || state.octets > OCTETS {
            let Some(oldest) = state.entries.pop_front() else { break };
            state.octets -= oldest.json.len();
        }
    }

    /// Hands over what lies behind `at`, at most `limit` entries.
    #[must_use]
    pub fn take(&self, at: Position, limit: usize) -> Found {
        let mut state = self.state();
        while state.entries.front().is_some_and(|entry| entry.to <= at) {
            if let Some(passed) = state.entries.pop_front() {
                state.octets -= passed.json.len();
            }
        }
        match state.entries.front() {
            None => Found::Nothing,
            Some(first) if first.from > at => Found::From(first.from),
            Some(_) => {
                let count = limit.min(state.entries.len());
                let next: Vec<Durable> = state.entries.drain(..count).collect();
                state.octets -= next.iter().map(|entry| entry.json.len()).sum::<usize>();
                Found::Next(next)
            }
        }
    }

    /// How many entries are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// True where none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64, octets: usize) -> Durable {
        let at = |offset| Position { segment: 1, offset };
        Durable { entry: Entry::Checkpoint(n), json: Bytes::from(vec![0; octets]), from: at(n), to: at(n + 1) }
    }

    #[test]
    fn hands_over_what_comes_next_and_says_where_it_begins_when_that_is_later() {
        let (tail, at) = (Tail::default(), |offset| Position { segment: 1, offset });
        tail.push((3..9).map(|n| entry(n, 1)));
        assert!(matches!(tail.take(at(2), 10), Found::From(from) if from == at(3)));
        assert!(matches!(tail.take(at(4), 2), Found::Next(next) if next.len() == 2 && next[1].to == at(6)));
        assert!(matches!(tail.take(at(6), 10), Found::Next(next) if next.len() == 3));
        assert!(matches!(tail.take(at(9), 10), Found::Nothing) && tail.is_empty());
    }

    #[test]
    fn beyond_its_bounds_the_oldest_go() {
        let tail = Tail::default();
        tail.push((0..ENTRIES as u64 + 7).map(|n| entry(n, 1)));
        assert!(matches!(tail.take(Position::default(), 1), Found::From(from) if from.offset == 7));
        tail.push([entry(1 << 20, OCTETS)]);
        assert_eq!(tail.len(), 1);
    }
}
