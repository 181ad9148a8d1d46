//! The journal: one append-only file of facts, cut into segments. It is the truth of what happened (DESIGN.md §4).
//!
//! | module | what it is |
//! |---|---|
//! | [`frame`] | an entry on disk: length, CRC32, kind, JSON |
//! | [`segment`] | one file: its header, its reading, its appending |
//! | [`directory`] | which segments there are, and what is right with each |
//! | [`spool`] | what waits in memory for the writer |
//! | [`daybook`] | what signalling admitted and the writer has not got yet |
//! | [`writer`] | the one thread that writes: group commit, rotation, checkpoints |
//! | [`tail`] | what has just come to lie on disk, in memory |
//! | [`space`] | how full and how well the disk is |
//!
//! Nothing here knows what a fact means; it may not look into a record except to find that it is an admission.

pub mod daybook;
pub mod directory;
pub mod frame;
pub mod segment;
pub mod space;
pub mod spool;
pub mod tail;
pub mod writer;

use serde::{Deserialize, Serialize};

/// A place in the journal: entries before it lie at lower positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The segment's number, from 1.
    pub segment: u64,
    /// Octets from the segment's beginning.
    pub offset: u64,
}

impl Position {
    /// It as one number that grows with it: an event's id. A segment is far shorter than 2^32 octets.
    #[must_use]
    pub const fn id(self) -> u64 {
        (self.segment << 32) | (self.offset & 0xffff_ffff)
    }
}
