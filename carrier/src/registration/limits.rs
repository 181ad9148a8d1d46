//! The bounds of a registration.

/// The longest registration, in seconds: one that is granted for longer counts as this, and a 423 that demands more is a
/// failure.
pub const MAX_EXPIRES_S: u32 = 86_400;

/// The soonest refresh, in seconds: a registrar that grants less loses our binding in between, and is not flooded.
pub const MIN_REFRESH_S: u64 = 10;

/// The first wait after a failure, in seconds. It doubles with each failure in a row, up to [`MAX_BACKOFF_S`].
pub const BASE_BACKOFF_S: u64 = 4;

/// The longest wait after failures of the path, in seconds.
pub const MAX_BACKOFF_S: u64 = 300;

/// The wait after the registrar has refused who we are, in seconds: asking again soon with the same password locks
/// accounts. New credentials begin a new registration, without the wait.
pub const REFUSED_BACKOFF_S: u64 = 900;

/// The longest Retry-After that is obeyed, in seconds: a longer one counts as this.
pub const MAX_RETRY_AFTER_S: u32 = 3_600;
