//! What Twilio's trunk asks of a caller and how it refuses (TWILIO.md §1.4, §1.7, §1.8).

use sip_core::message::{Message, StatusCode};

/// A refusal with its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The called number is not E.164.
    BadNumber,
    /// The caller ID is not owned or verified.
    CallerId,
    /// Secure media where the trunk is plain, or the other way round.
    SecureTransport,
    /// Too many calls a second.
    CallsPerSecond,
    /// Too many calls at once.
    Concurrency,
}

impl Error {
    /// The status it comes with. For the two limits it is not confirmed; 503 is built for (TWILIO.md §8).
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadNumber => StatusCode::BAD_REQUEST,
            Self::CallerId => StatusCode::FORBIDDEN,
            Self::SecureTransport => StatusCode::NOT_ACCEPTABLE_HERE,
            Self::CallsPerSecond | Self::Concurrency => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The value of `X-Twilio-Error`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::BadNumber => "32101 Called number is not in E.164 format",
            Self::CallerId => "32204 Caller ID is not owned or verified",
            Self::SecureTransport => "32209 Secure transport does not match the trunk",
            Self::CallsPerSecond => "32001 Trunk CPS limit exceeded",
            Self::Concurrency => "10004 Concurrent call limit exceeded",
        }
    }

    pub(crate) fn header(self) -> (String, String) {
        ("X-Twilio-Error".to_owned(), self.text().to_owned())
    }
}

/// A number as ITU-T E.164 has it, with its plus: up to fifteen digits.
#[must_use]
pub fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (1..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Whose number it is: the user part of From and of the Request-URI.
pub(crate) fn parties(request: &Message) -> (String, String) {
    let from = request.from().ok().and_then(|from| from.uri.user_unescaped().map(std::borrow::Cow::into_owned));
    let to = request.request_uri().ok().and_then(|uri| uri.user_unescaped().map(std::borrow::Cow::into_owned));
    (from.unwrap_or_default(), to.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e164_has_a_plus_and_up_to_fifteen_digits() {
        assert!(["+18325550100", "+493012345", "+123456789012345"].into_iter().all(is_e164));
        assert!(["18325550100", "+", "+0123", "+1234567890123456", "+1832x", "alice"].into_iter().all(|n| !is_e164(n)));
    }
}
