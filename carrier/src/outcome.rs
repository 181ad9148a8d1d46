//! What a final response means for failover (TWILIO.md §1.8 and its house rule; FAULTS row 5).
//!
//! The worst mistake here is to redial someone who has declined: whatever may be a person's or a number's own answer is
//! final. Redirection is not followed, because where a call goes is decided by our routes and not by who answers it.

/// What a final response means for the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The called user or number has answered: busy, declined, not there, no such number. No other path is tried.
    UserAnswer,
    /// The request as it is was refused: caller ID, credentials, codecs, permission. No other path is tried.
    Permanent,
    /// The path failed: the next address, edge or trunk may succeed.
    TryNext,
}

/// Classifies a final response of 300 to 699 by its status and, where it had one, the code of its `X-Twilio-Error`. A
/// timeout counts as 408 and a transport failure as 503 (RFC 3261 §8.1.3.1).
#[must_use]
pub const fn classify(status: u16, x_twilio_error: Option<u32>) -> Outcome {
    match x_twilio_error {
        // Refused by the carrier, whatever status carries it.
        Some(32100 | 32101 | 32200 | 32201 | 32203 | 32204 | 32209 | 32219 | 32222 | 32224) => Outcome::Permanent,
        // Too many calls a second, or at once, on this trunk.
        Some(32001 | 32012 | 10004) => Outcome::TryNext,
        _ => by_status(status),
    }
}

const fn by_status(status: u16) -> Outcome {
    match status {
        404 | 410 | 480 | 484..=487 | 600 | 603 | 604 | 607 => Outcome::UserAnswer,
        408 | 500..=599 => Outcome::TryNext,
        _ => Outcome::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Permanent, TryNext, UserAnswer};

    #[test]
    fn a_users_answer_is_never_redialled() {
        for status in [404, 410, 480, 484, 485, 486, 487, 600, 603, 604, 607] {
            assert_eq!(classify(status, None), UserAnswer, "{status}");
        }
    }

    #[test]
    fn only_408_and_server_failures_try_the_next_path() {
        for status in 300..700 {
            let next = classify(status, None) == TryNext;
            assert_eq!(next, status == 408 || (500..600).contains(&status), "{status}");
        }
    }

    #[test]
    fn what_was_refused_stays_refused() {
        for status in [302, 400, 401, 403, 407, 415, 420, 482, 483, 488, 491, 606] {
            assert_eq!(classify(status, None), Permanent, "{status}");
        }
    }

    #[test]
    fn twilios_own_word_overrides_the_status() {
        let table = [
            (403, 32204, Permanent),
            (603, 32203, Permanent),
            (503, 32201, Permanent),
            (503, 32001, TryNext),
            (403, 32012, TryNext),
            (480, 10004, TryNext),
            (486, 99999, UserAnswer),
            (503, 99999, TryNext),
        ];
        for (status, code, outcome) in table {
            assert_eq!(classify(status, Some(code)), outcome, "{status} {code}");
        }
    }
}
