//! The load engine: calls at a pace that nothing slows down, and what became of each, for `tandem load`.
//!
//! | file | what it is |
//! |---|---|
//! | `pace` | when each call is due |
//! | `config` | what a load is told once |
//! | `generator` | one shard of it, a [`Node`](crate::node::Node) |
//! | `call`, `line` | one call, and its media |
//! | `answered` | one call that came to us: the other leg of a bridge |
//! | `tap` | what is measured on the streams |
//! | `floor` | what the calls of a shard share |
//! | `tally` | what was seen, a [`Lap`] a second |
//! | `summary` | all laps of all shards, and what is said about them |
//!
//! The loop is open: call `n` starts when it is due, whatever became of those before it, and its latencies count from
//! when it was *due*. A target that stalls for a second is seen to stall by every call of that second, and a generator
//! that is late says so. Sans-IO: the same value runs on the virtual network and, sharded, in `crate::net::load`.

mod answered;
mod call;
mod config;
mod floor;
mod generator;
mod line;
mod pace;
mod summary;
mod tally;
pub mod tap;

pub use config::{DIGIT_MS, LoadConfig, MAX_IN_FLIGHT, MAX_WIDTH, Media, Numbering, RING_TIMEOUT, Share, Source};
pub use generator::{
    ABANDON_AFTER, Command, Generator, HANG_UP_WITHIN, MAX_TRANSACTIONS, Remains, STARTS_A_WAKE, Told,
};
pub use pace::{MAX_RATE, Pace};
pub use summary::{MAX_SECONDS, Second, Summary};
pub use tally::{Counts, Failed, Lap, Latency, Reason, Rtp, Stages};

/// What a shard can be woken for. Equal times come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Alarm {
    /// A second is over.
    Lap,
    /// The load is over: what stands is hung up.
    End,
    /// This call has stood long enough.
    HangUp(u64),
    /// The next call is due.
    Start,
    /// What was answered, and nobody has ended, is hung up.
    Abandon,
}

/// Why a load cannot be what was asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// A rate that is none.
    #[error("a rate of {0} calls a second cannot be kept; it must be above 0 and at most {MAX_RATE}")]
    Rate(f64),
    /// Steps without a rate.
    #[error("no rate is given")]
    NoRate,
    /// A ramp or steps that take no time.
    #[error("a ramp and a step must take some time")]
    NoTime,
    /// A percent sign that means nothing.
    #[error("`{0}`: a percent sign stands before n, as in %n or %6n (at most {MAX_WIDTH} digits), or is doubled")]
    Numbering(String),
}
