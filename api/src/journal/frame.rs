//! How an entry lies on disk: length, CRC32, kind, JSON. Pure: bytes in, bytes out.
//!
//! The CRC covers the length and the kind as well, so that neither a run of zeros nor a length that lies passes for an
//! entry. Nothing in here may panic, whatever the bytes are.

use crate::idempotency::Keyed;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use switch::{CallView, Record};

/// The greatest payload of an entry, in octets. A longer one is refused when it is written (a request's body is far
/// shorter), and a length beyond it read from disk is damage.
pub const MAX_PAYLOAD: usize = 4 << 20;

/// Octets before the payload: length, CRC32, kind.
pub const HEAD: usize = 9;

const RECORD: u8 = 1;
const CHECKPOINT: u8 = 2;
const CARRIED: u8 = 3;
const KEYED: u8 = 4;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A fact about a call.
    Record(Arc<Record>),
    /// The process lived, and calls with it, at this time (milliseconds since the Unix epoch).
    Checkpoint(u64),
    /// The `Idempotency-Key` that the admission behind it came with.
    Keyed(Box<Keyed>),
    /// A call that outlives the segment it was admitted in, as it stands: so that the old segment may go.
    Carried(Box<CallView>),
}

/// Why a payload whose CRC holds is no entry: it was written by another version of this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// What the bytes begin with.
#[derive(Debug, PartialEq)]
pub enum Decoded {
    /// A whole frame of this many octets, its CRC right.
    Whole(Result<Entry, Unreadable>, usize),
    /// Not enough bytes for a whole frame.
    Short,
    /// No frame.
    Damaged,
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    at: u64,
}

/// Appends the frame of `entry` to `out`; false, and nothing appended, where it is greater than [`MAX_PAYLOAD`] or has
/// no JSON.
#[must_use]
pub fn encode(entry: &Entry, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    let (kind, written) = match entry {
        Entry::Record(record) => (RECORD, serde_json::to_writer(&mut *out, &**record)),
        Entry::Checkpoint(at) => (CHECKPOINT, serde_json::to_writer(&mut *out, &Checkpoint { at: *at })),
        Entry::Carried(view) => (CARRIED, serde_json::to_writer(&mut *out, view)),
        Entry::Keyed(keyed) => (KEYED, serde_json::to_writer(&mut *out, keyed)),
    };
    let length = out.len() - start - HEAD;
    if written.is_err() || length > MAX_PAYLOAD {
        out.truncate(start);
        return false;
    }
    let length = (length as u32).to_le_bytes();
    let crc = crc(length, kind, &out[start + HEAD..]).to_le_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + 8].copy_from_slice(&crc);
    out[start + 8] = kind;
    true
}

/// Reads the frame that `bytes` begin with.
#[must_use]
pub fn decode(bytes: &[u8]) -> Decoded {
    let Some((&[l0, l1, l2, l3, c0, c1, c2, c3, kind], rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Decoded::Short;
    };
    let length_field = [l0, l1, l2, l3];
    let length = u32::from_le_bytes(length_field) as usize;
    if length > MAX_PAYLOAD {
        return Decoded::Damaged;
    }
    let Some(payload) = rest.get(..length) else { return Decoded::Short };
    if crc(length_field, kind, payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Decoded::Damaged;
    }
    Decoded::Whole(entry(kind, payload), HEAD + length)
}

fn entry(kind: u8, payload: &[u8]) -> Result<Entry, Unreadable> {
    let read = match kind {
        RECORD => serde_json::from_slice(payload).map(|record| Entry::Record(Arc::new(record))),
        CHECKPOINT => serde_json::from_slice(payload).map(|Checkpoint { at }| Entry::Checkpoint(at)),
        KEYED => serde_json::from_slice(payload).map(|keyed| Entry::Keyed(Box::new(keyed))),
        CARRIED => serde_json::from_slice(payload).map(|view| Entry::Carried(Box::new(view))),
        other => return Err(Unreadable(format!("no kind of entry has the number {other}"))),
    };
    read.map_err(|error| Unreadable(error.to_string()))
}

fn crc(length: [u8; 4], kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(&[kind]);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;
    use proptest::prelude::*;

    #[test]
    fn reads_back_every_kind_of_entry() {
        let entries = [
            Entry::Record(Arc::new(calls::admitted(1, 1_000))),
            Entry::Checkpoint(7),
            Entry::Carried(Box::new(CallView::admitted(&calls::admitted(2, 5)).unwrap())),
        ];
        let mut bytes = Vec::new();
        assert!(entries.iter().all(|entry| encode(entry, &mut bytes)));
        let mut at = 0;
        for entry in entries {
            let Decoded::Whole(read, used) = decode(&bytes[at..]) else { panic!("no frame at {at}") };
            assert_eq!(read, Ok(entry));
            at += used;
        }
        assert_eq!(at, bytes.len());
    }

    #[test]
    fn zeros_are_damage_and_not_an_endless_run_of_empty_entries() {
        assert_eq!(decode(&[0; 64]), Decoded::Damaged);
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_always_found(bit in 0usize..8 * 200) {
            let mut bytes = Vec::new();
            prop_assert!(encode(&Entry::Record(Arc::new(calls::admitted(1, 1_000))), &mut bytes));
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(decode(&bytes), Decoded::Whole(..)));
        }

        #[test]
        fn takes_any_bytes_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }
    }
}
