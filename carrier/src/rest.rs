//! How long a trunk that failed is left alone (FAULTS row 5): for what Retry-After says, or 30 s.

use base::{Now, secs};

/// The rest of a trunk whose failure named no Retry-After, in seconds.
pub const DEFAULT_REST_S: u32 = 30;

/// The longest rest, in seconds: a carrier that says "an hour" in error must not take us off the air for that long.
/// A longer Retry-After counts as this.
pub const MAX_REST_S: u32 = 300;

/// Whether a trunk rests. It is for failures of the path (500, 503, no answer at all, transport): a 408 for one number says
/// nothing about the next. A trunk that rests is tried last, or not at all; its user decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    until: u64,
}

impl Rest {
    /// The path has failed; `retry_after_s` is its Retry-After in seconds, where it had one.
    pub fn failed(&mut self, retry_after_s: Option<u32>, now: Now) {
        let rest = retry_after_s.unwrap_or(DEFAULT_REST_S).min(MAX_REST_S);
        self.until = self.until.max(now.mono.saturating_add(secs(rest.into())));
    }

    /// The path has carried a call to an answer, whatever it was: it is well.
    pub fn answered(&mut self) {
        self.until = 0;
    }

    /// Until when it rests (monotonic nanoseconds), where it does.
    #[must_use]
    pub fn until(&self, now: Now) -> Option<u64> {
        (self.until > now.mono).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_for_as_long_as_it_was_told_within_bounds() {
        for (retry_after, seconds) in [(None, 30), (Some(5), 5), (Some(86_400), 300)] {
            let mut rest = Rest::default();
            assert_eq!(rest.until(Now::default()), None);
            rest.failed(retry_after, Now::new(secs(10), 0));
            assert_eq!(rest.until(Now::new(secs(10 + seconds) - 1, 0)), Some(secs(10 + seconds)));
            assert_eq!(rest.until(Now::new(secs(10 + seconds), 0)), None);
        }
    }

    #[test]
    fn a_shorter_rest_does_not_end_a_longer_one_but_an_answer_does() {
        let mut rest = Rest::default();
        rest.failed(Some(60), Now::default());
        rest.failed(Some(1), Now::default());
        assert_eq!(rest.until(Now::default()), Some(secs(60)));
        rest.answered();
        assert_eq!(rest.until(Now::default()), None);
    }
}
