//! The recordings that a killed process was making: their files are made true, and their ends written down.

use super::recover::{Recovery, recorded};
use crate::recordings::{Held, Recordings};
use crate::store::recordings::RecordingRow;
use crate::store::{Store, StoreError};
use std::collections::{BTreeMap, HashMap};
use switch::{CallSid, Record};

/// Recordings of calls that have ended that a start closes; what is beyond is for the next start.
const STRAYS: usize = 10_000;

/// Calls that are looked up together.
const AT_ONCE: usize = 500;

/// The facts by which a start closes what the process before it left open. Without `store` it is away.
pub(super) async fn ends(
    recovery: Recovery,
    store: Option<&Store>,
    recordings: &Recordings,
) -> Result<Vec<Record>, StoreError> {
    let rows = match store {
        Some(store) => store.unfinished_recordings(STRAYS).await?,
        // What only the database knows of is for the next start.
        None => Vec::new(),
    };
    let strays: Vec<RecordingRow> = rows.into_iter().filter(|row| !recovery.is_over(&row.sid)).collect();
    let sids = recovery.unfinished().into_iter().chain(strays.iter().map(|row| row.sid.clone())).collect();
    let held = recordings.mend(sids).await;
    let at = recovery.alive_at();
    let mut ends = match store {
        Some(store) => closed(strays, &held, at, store).await?,
        None => Vec::new(),
    };
    ends.extend(recovery.interrupted(&held));
    Ok(ends)
}

/// The ends of recordings whose calls are over: a conference's that went on when the one who began it had left, or what a
/// version left open that did not close any. Only what has a file here is closed: another process on the same database
/// may be making the rest.
async fn closed(
    strays: Vec<RecordingRow>,
    held: &BTreeMap<String, Held>,
    at: u64,
    store: &Store,
) -> Result<Vec<Record>, StoreError> {
    let mut of_call: HashMap<CallSid, Vec<(RecordingRow, Held)>> = HashMap::new();
    for row in strays {
        let found = held.get(&row.sid).copied().filter(|held| held.octets > 0);
        if let (Ok(call), Some(found)) = (row.call_sid.parse(), found) {
            of_call.entry(call).or_default().push((row, found));
        }
    }
    let calls: Vec<CallSid> = of_call.keys().copied().collect();
    let mut last = HashMap::new();
    for sids in calls.chunks(AT_ONCE) {
        let known = store.known(sids).await?;
        last.extend(known.into_iter().map(|(sid, known)| (sid, known.last())));
    }
    let ends = of_call.into_iter().flat_map(|(sid, rows)| {
        let seqs = last.get(&sid).copied().unwrap_or(0).saturating_add(1)..;
        seqs.zip(rows).map(move |(seq, (row, held))| Record {
            sid,
            seq,
            at: at.max(row.started_at),
            fact: recorded(&row.sid, row.channels, held),
        })
    });
    Ok(ends.collect())
}
