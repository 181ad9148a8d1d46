//! What was admitted, as those who asked know it, beside the books.

use crate::clients::Posted;
use crate::common::caller::Answers;
use crate::common::hooks::Hooks;
use crate::common::http::is_final;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// All that was admitted, as those who asked know it.
pub struct Admitted {
    /// POSTs: the sid of each that was answered 201, by the number in its metadata.
    pub posted: BTreeMap<u64, String>,
    /// POSTs whose connection broke off: nobody knows.
    pub unknown: BTreeSet<u64>,
    /// INVITEs.
    pub called: Answers,
}

impl Admitted {
    pub fn new(all: Vec<Posted>, called: Answers) -> Self {
        let (mut posted, mut unknown) = (BTreeMap::new(), BTreeSet::new());
        for Posted { nth, reply, .. } in all {
            match reply {
                Some(reply) if reply.status == 201 => {
                    posted.insert(nth, reply.body["sid"].as_str().unwrap().to_owned());
                }
                // A switch that starts is one that takes no calls yet.
                Some(reply) => assert!([429, 503].contains(&reply.status), "{reply:?}"),
                None => drop(unknown.insert(nth)),
            }
        }
        Self { posted, unknown, called }
    }

    /// Whether every one of them is in these books.
    pub fn all_in(&self, rows: &[Value]) -> bool {
        let sids: BTreeSet<&str> = rows.iter().filter_map(|row| row["sid"].as_str()).collect();
        let callers: BTreeSet<&str> = rows.iter().filter_map(caller_of).collect();
        self.posted.values().all(|sid| sids.contains(sid.as_str()))
            && self.taken().all(|from| callers.contains(from.as_str()))
    }

    /// INVITEs that were answered with more than a 100. One that is refused at the door (503 under overload) was not admitted.
    pub fn taken(&self) -> impl Iterator<Item = &String> {
        self.called.iter().filter(|(_, status)| (101..300).contains(*status)).map(|(from, _)| from)
    }

    /// INVITEs that were refused.
    pub fn refused(&self) -> usize {
        self.called.values().filter(|status| **status >= 300).count()
    }

    /// What is missing in these books.
    pub fn missing_in(&self, rows: &[Value]) -> Vec<String> {
        let there: BTreeSet<&str> = rows.iter().filter_map(caller_of).chain(rows.iter().filter_map(sid)).collect();
        let all = self.posted.values().chain(self.taken());
        all.filter(|name| !there.contains(name.as_str())).cloned().collect()
    }

    /// Each row is of a call that somebody asked for, and no two of the same.
    pub fn assert_each_once(&self, rows: &[Value]) {
        let mut seen = BTreeSet::new();
        for row in rows {
            let own = if row["direction"] == "inbound" {
                let from = caller_of(row).unwrap();
                assert!(self.called.contains_key(from), "nobody's call: {row:#}");
                from.to_owned()
            } else {
                let nth = row["metadata"]["nth"].as_u64().unwrap();
                let known = self.posted.get(&nth).map(String::as_str);
                let asked = known == row["sid"].as_str() || known.is_none() && self.unknown.contains(&nth);
                assert!(asked, "not the call that was answered 201: {known:?}, {row:#}");
                nth.to_string()
            };
            assert!(seen.insert(own), "twice: {row:#}");
            assert!(is_final(row) && !row["ended_at"].is_null(), "{row:#}");
        }
    }
}

fn sid(row: &Value) -> Option<&str> {
    row["sid"].as_str()
}

/// Who called, each with a number of his own.
pub fn caller_of(row: &Value) -> Option<&str> {
    row["from"].as_str().filter(|_| row["direction"] == "inbound")
}

/// Nobody is told of a call that is in no book.
pub fn assert_only_of_calls(rows: &[Value], hooks: &Hooks) {
    let sids: BTreeSet<&str> = rows.iter().filter_map(sid).collect();
    let taken = hooks.taken();
    let strange: Vec<_> = taken.keys().filter(|(of, _)| !sids.contains(of.as_str())).collect();
    assert!(strange.is_empty(), "events of calls that have no CDR: {strange:?}");
}

/// The events that the calls of these rows owe their callbacks and have not brought yet; each under one id.
pub fn untold(rows: &[Value], hooks: &Hooks) -> Vec<(String, String)> {
    let taken = hooks.taken();
    for (event, ids) in &taken {
        assert_eq!(ids.len(), 1, "{event:?} under several ids: {ids:?}");
    }
    let posted = rows.iter().filter(|row| row["direction"] != "inbound");
    let owed = posted.flat_map(|row| {
        let answered = (!row["answered_at"].is_null()).then_some("call.answered");
        answered.into_iter().chain(["call.ended"]).map(|kind| (sid(row).unwrap().to_owned(), kind.to_owned()))
    });
    owed.filter(|event| !taken.contains_key(event)).collect()
}
