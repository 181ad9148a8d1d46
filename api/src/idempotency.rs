//! `Idempotency-Key`: the same key and body make one call, however often they are sent, over a restart too.
//!
//! A key is journalled in the same write as the admission that it stands for, and projected into the database; it is
//! served from memory. Only a request that led to a call uses its key up: one that was refused may be sent again.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use switch::CallSid;

/// How long a key is remembered, in milliseconds: a day.
pub const REMEMBERED_MS: u64 = 86_400_000;

/// Keys remembered at most. When there are as many of the last day, a request with another gets 503.
pub const MAX_REMEMBERED: usize = 500_000;

/// The longest key, in characters.
pub const MAX_KEY: usize = 255;

/// A key that led to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyed {
    /// Whose.
    pub tenant: String,
    /// The key.
    pub key: String,
    /// SHA-256 of the body that it came with, in hexadecimal digits.
    pub body: String,
    /// The call.
    pub sid: CallSid,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
}

#[derive(Debug)]
enum Slot {
    UnderWay { body: String },
    Done { body: String, sid: CallSid, at: u64 },
}

/// What a key comes to.
#[derive(Debug)]
pub enum Begun {
    /// It is new: the request goes on, and the key is given back if it leads to nothing.
    New(UnderWay),
    /// It led to this call.
    Again(CallSid),
    /// It came with another body before.
    OtherBody,
    /// The first request with it is being answered.
    UnderWay,
    /// [`MAX_REMEMBERED`] others are remembered.
    Full,
    /// It is not in memory, and the database, which may have it, has not been there since the start.
    Unknown,
}

type Keys = HashMap<(String, String), Slot>;

/// The keys of the last day. Cloning is cheap; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    keys: Arc<Mutex<Keys>>,
    /// Those of the database are still to come.
    lacking: Arc<AtomicBool>,
}

impl Remembered {
    fn keys(&self) -> MutexGuard<'_, Keys> {
        // Every change is a single insertion or removal: a panic elsewhere leaves it whole.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a key that the journal or the database has.
    pub fn restore(&self, Keyed { tenant, key, body, sid, at }: Keyed) {
        self.keys().insert((tenant, key), Slot::Done { body, sid, at });
    }

    /// The keys of the database are still to come: until [`Remembered::complete`] no key counts as new.
    pub fn lack(&self) {
        self.lacking.store(true, Ordering::Release);
    }

    /// Takes in the keys of the database; those of the journal are newer, and stay.
    pub fn complete(&self, all: Vec<Keyed>) {
        let mut keys = self.keys();
        for Keyed { tenant, key, body, sid, at } in all {
            keys.entry((tenant, key)).or_insert(Slot::Done { body, sid, at });
        }
        self.lacking.store(false, Ordering::Release);
    }

    /// Begins a request with a key, at `now` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn begin(&self, tenant: &str, key: &str, body: &str, now: u64) -> Begun {
        let mut keys = self.keys();
        let name = (tenant.to_owned(), key.to_owned());
        let lives = |slot: &Slot| !matches!(slot, Slot::Done { at, .. } if at.saturating_add(REMEMBERED_MS) <= now);
        match keys.get(&name).filter(|slot| lives(slot)) {
            Some(Slot::UnderWay { body: before } | Slot::Done { body: before, .. }) if before != body => {
                return Begun::OtherBody;
            }
            Some(Slot::UnderWay { .. }) => return Begun::UnderWay,
            Some(Slot::Done { sid, .. }) => return Begun::Again(*sid),
            None => {}
        }
        if self.lacking.load(Ordering::Acquire) {
            return Begun::Unknown;
        }
        if keys.len() >= MAX_REMEMBERED {
            keys.retain(|_, slot| lives(slot));
            if keys.len() >= MAX_REMEMBERED {
                return Begun::Full;
            }
        }
        keys.insert(name.clone(), Slot::UnderWay { body: body.to_owned() });
        Begun::New(UnderWay { remembered: self.clone(), name, body: body.to_owned(), done: false })
    }

    /// Forgets a key whose call never came to be: the machine went down between the one and the other.
    pub fn forget(&self, tenant: &str, key: &str, sid: CallSid) {
        let (mut keys, name) = (self.keys(), (tenant.to_owned(), key.to_owned()));
        if matches!(keys.get(&name), Some(Slot::Done { sid: of, .. }) if *of == sid) {
            keys.remove(&name);
        }
    }
}

/// A request with a key, while it is being answered. Where it leads to no call, the key is given back.
#[derive(Debug)]
pub struct UnderWay {
    remembered: Remembered,
    name: (String, String),
    body: String,
    done: bool,
}

impl UnderWay {
    /// What is to be journalled with the admission of the call.
    #[must_use]
    pub fn keyed(&self, sid: CallSid, at: u64) -> Keyed {
        let (tenant, key) = self.name.clone();
        Keyed { tenant, key, body: self.body.clone(), sid, at }
    }

    /// The call is admitted: from now on the key stands for it.
    pub fn done(mut self, sid: CallSid, at: u64) {
        self.done = true;
        let slot = Slot::Done { body: std::mem::take(&mut self.body), sid, at };
        self.remembered.keys().insert(self.name.clone(), slot);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.done {
            self.remembered.keys().remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls::sid;

    #[test]
    fn a_key_stands_for_one_call_for_a_day_and_is_given_back_where_there_is_none() {
        let remembered = Remembered::default();
        let Begun::New(first) = remembered.begin("a", "k", "x", 0) else { panic!("it is new") };
        assert!(matches!(remembered.begin("a", "k", "x", 0), Begun::UnderWay));
        assert!(matches!(remembered.begin("a", "k", "y", 0), Begun::OtherBody));
        drop(first);
        let Begun::New(second) = remembered.begin("a", "k", "y", 0) else { panic!("it was given back") };
        second.done(sid(1), 5);
        assert!(matches!(remembered.begin("a", "k", "y", 6), Begun::Again(of) if of == sid(1)));
        assert!(matches!(remembered.begin("a", "k", "x", 6), Begun::OtherBody));
        assert!(matches!(remembered.begin("b", "k", "x", 6), Begun::New(_)));
        assert!(matches!(remembered.begin("a", "k", "x", 5 + REMEMBERED_MS), Begun::New(_)));
    }

    #[test]
    fn while_the_database_is_to_come_only_keys_of_the_journal_are_answered() {
        let remembered = Remembered::default();
        let keyed = |key: &str, n| Keyed { tenant: "a".into(), key: key.into(), body: "x".into(), sid: sid(n), at: 7 };
        remembered.restore(keyed("journal", 1));
        remembered.lack();
        assert!(matches!(remembered.begin("a", "journal", "x", 8), Begun::Again(of) if of == sid(1)));
        assert!(matches!(remembered.begin("a", "database", "x", 8), Begun::Unknown));
        remembered.complete(vec![keyed("database", 2), keyed("journal", 3)]);
        assert!(matches!(remembered.begin("a", "database", "x", 8), Begun::Again(of) if of == sid(2)));
        assert!(matches!(remembered.begin("a", "journal", "x", 8), Begun::Again(of) if of == sid(1)), "the newer one");
        assert!(matches!(remembered.begin("a", "new", "x", 8), Begun::New(_)));
    }

    #[test]
    fn when_as_many_are_remembered_as_may_be_another_waits_for_a_day_to_pass() {
        let remembered = Remembered::default();
        for n in 0..MAX_REMEMBERED {
            let key = n.to_string();
            remembered.restore(Keyed { tenant: "a".into(), key, body: "x".into(), sid: sid(1), at: 7 });
        }
        assert!(matches!(remembered.begin("a", "k", "x", 8), Begun::Full));
        assert!(matches!(remembered.begin("a", "k", "x", 7 + REMEMBERED_MS), Begun::New(_)));
    }
}
