//! How long to wait after a failure: exponential, with jitter so that a registrar that comes back is not met by everyone
//! at once (the shape of RFC 5626 §4.5: a wait drawn between half of it and all of it), never less than Retry-After.

use super::limits::{BASE_BACKOFF_S, MAX_BACKOFF_S, MAX_RETRY_AFTER_S, REFUSED_BACKOFF_S};
use super::state::{Asking, Waiting};
use base::{Now, Rng, secs};

/// The wait after a REGISTER that met `status`, or was not sent.
pub(super) fn wait(asking: &Asking, status: Option<u16>, retry_after: Option<u32>, rng: &mut Rng, now: Now) -> Waiting {
    let failures = asking.failures.saturating_add(1);
    let whole = if is_refusal(status) { REFUSED_BACKOFF_S } else { doubled(asking.failures) };
    let drawn = secs(whole) / 2 + rng.below(secs(whole) / 2 + 1);
    let told = secs(retry_after.unwrap_or(0).min(MAX_RETRY_AFTER_S).into());
    Waiting { until: now.mono.saturating_add(drawn.max(told)), failures, status, binding: asking.binding }
}

/// A refusal of who we are, which asking again does not change.
const fn is_refusal(status: Option<u16>) -> bool {
    matches!(status, Some(401 | 403 | 404 | 407 | 600..=699))
}

const fn doubled(failures: u32) -> u64 {
    let whole = BASE_BACKOFF_S.saturating_mul(1 << if failures < 16 { failures } else { 16 });
    if whole < MAX_BACKOFF_S { whole } else { MAX_BACKOFF_S }
}
