//! Sounds that were brought before: bounded by the memory they take, the one that was not asked for the longest goes
//! first.

use media::Prompt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Sounds that are kept, however short they are.
const MAX_ENTRIES: usize = 4_096;

/// Octets a sample takes: two as it was decoded, one for each law of G.711.
const PER_SAMPLE: usize = 4;

/// A sound that was brought.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) sound: Arc<Prompt>,
    /// Until when it is as good as new; none: always.
    pub(super) fresh_until: Option<Instant>,
    /// What its server called this version of it.
    pub(super) etag: Option<String>,
}

impl Kept {
    /// Whether it may be played without asking again.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh_until.is_none_or(|until| Instant::now() < until)
    }

    fn octets(&self) -> usize {
        self.sound.samples().len() * PER_SAMPLE
    }
}

struct Entry {
    kept: Kept,
    used: u64,
}

#[derive(Default)]
struct Held {
    entries: HashMap<String, Entry>,
    octets: usize,
    uses: u64,
}

/// The cache.
pub(super) struct Cache {
    held: Mutex<Held>,
    most: usize,
}

impl Cache {
    /// One of at most so many octets.
    pub(super) fn new(most: usize) -> Self {
        Self { held: Mutex::default(), most }
    }

    pub(super) fn get(&self, key: &str) -> Option<Kept> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let uses = held.uses;
        let entry = held.entries.get_mut(key)?;
        entry.used = uses;
        Some(entry.kept.clone())
    }

    /// Keeps one, in place of what was kept under the same key. One that alone is too long is not kept.
    pub(super) fn put(&self, key: &str, kept: Kept) {
        let octets = kept.octets();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(key);
        if octets > self.most {
            return;
        }
        while held.octets + octets > self.most || held.entries.len() >= MAX_ENTRIES {
            let oldest = held.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            held.remove(&oldest);
        }
        held.uses += 1;
        held.octets += octets;
        let entry = Entry { kept, used: held.uses };
        held.entries.insert(key.to_owned(), entry);
    }
}

impl Held {
    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.octets -= entry.kept.octets();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(samples: usize) -> Kept {
        Kept { sound: Arc::new(Prompt::new("x", vec![0; samples])), fresh_until: None, etag: None }
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first_and_what_is_too_long_is_not_kept() {
        let cache = Cache::new(3_000 * PER_SAMPLE);
        for key in ["a", "b", "c"] {
            cache.put(key, sound(1_000));
        }
        assert!(cache.get("a").is_some());
        cache.put("d", sound(1_000));
        assert!(cache.get("b").is_none());
        assert!(["a", "c", "d"].iter().all(|key| cache.get(key).is_some()));
        cache.put("e", sound(3_001));
        assert!(cache.get("e").is_none() && cache.get("a").is_some());
        cache.put("a", sound(3_000));
        assert!(cache.get("c").is_none() && cache.get("a").is_some_and(|kept| kept.sound.samples().len() == 3_000));
    }
}
