//! Why a call is not admitted: what the journal and the ledger say, and what HTTP makes a problem of.

/// Why a call is not admitted. Each goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The journal has reached `journal.max_mb`, or its disk is nearly full.
    #[error(
        "the journal is full (journal.max_mb is reached, or the disk has less than an eighth of it, at most 64 MB, to spare): \
         calls end, but none begins until the database has caught up or the disk has room"
    )]
    JournalFull,
    /// The journal's disk does not take what is written to it.
    #[error("the journal's disk is failing: no call begins that could not be accounted for")]
    JournalFailing,
    /// More facts wait in memory than a healthy disk leaves there, or more ended calls wait for the database.
    #[error("more is happening than is being written down; try again shortly")]
    Overloaded,
    /// `limits.concurrent_calls` calls are live.
    #[error("limits.concurrent_calls is reached: {0} calls are live")]
    TooManyCalls(usize),
    /// `limits.concurrent_calls` of the tenant are live.
    #[error("limits.concurrent_calls of this tenant is reached")]
    TooManyOfTenant,
    /// `limits.calls_per_second` of the tenant have begun within the last second.
    #[error("limits.calls_per_second of this tenant is reached")]
    TooFastOfTenant,
    /// The switch is going down.
    #[error("the switch is going down")]
    Closed,
}
