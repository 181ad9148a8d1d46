//! With what an INVITE, or a change of its session, is refused: the status, and the header fields that say more.

use crate::ending::Ending;
use sip_core::endpoint::{Headers, RETRY_AFTER};
use sip_core::header::Warning;
use sip_core::message::{Message, Name, StatusCode};
use sip_core::sdp::SdpError;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) headers: Headers,
}

/// Refused at the door, before a call exists.
impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        let is_full = status == StatusCode::SERVICE_UNAVAILABLE;
        let later = is_full.then(|| (Name::RetryAfter.as_str().to_owned(), RETRY_AFTER.to_string()));
        Self { status, headers: later.into_iter().collect() }
    }
}

/// A description that is not agreed to (RFC 3261 §13.3.1.3, §20.43).
impl From<&SdpError> for Refusal {
    fn from(error: &SdpError) -> Self {
        let status = StatusCode::new(error.status()).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
        Self { status, headers: error.warning().as_ref().map(header).into_iter().collect() }
    }
}

impl Refusal {
    /// A call that ends before its answer. A 488 says why: in the words of whom we called, where that is who refused.
    pub(crate) fn of(ending: &Ending) -> Self {
        let status = ending.cause.sip_status.and_then(StatusCode::new).filter(|status| status.class() >= 3);
        let status = status.unwrap_or(StatusCode::TEMPORARILY_UNAVAILABLE);
        let reason = Some(&ending.cause.reason).filter(|reason| !reason.is_empty());
        let warning = ending.warning.clone().or_else(|| Some(Warning::new(Warning::MISCELLANEOUS, reason?)));
        let warning = warning.filter(|_| status == StatusCode::NOT_ACCEPTABLE_HERE);
        Self { status, headers: warning.as_ref().map(header).into_iter().collect() }
    }
}

/// The first reason that a refusal gives.
pub(crate) fn warning_of(response: &Message) -> Option<Warning> {
    response.values(Name::Warning).find_map(|value| Warning::parse(&value).ok())
}

fn header(warning: &Warning) -> (String, String) {
    (Name::Warning.as_str().to_owned(), warning.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, Status};

    fn warned(refusal: &Refusal) -> Option<Warning> {
        let (_, value) = refusal.headers.iter().find(|(name, _)| name == "Warning")?;
        Some(Warning::parse(value.as_bytes()).expect("we write what we can read"))
    }

    #[test]
    fn a_488_says_why_whoever_refuses_and_nothing_else_does() {
        let ended = |code, reason: &str| Ending::new(Status::Failed, Origin::Carrier, code, reason);
        let theirs = Warning::new(305, "G.729 only");
        let of_theirs = Ending { warning: Some(theirs.clone()), ..ended(488, "Not Acceptable Here") };
        let table = [
            (Refusal::of(&of_theirs), Some(theirs.clone())),
            (Refusal::of(&ended(488, "no fax here")), Some(Warning::new(399, "no fax here"))),
            (Refusal::of(&ended(488, "")), None),
            (Refusal::of(&Ending { warning: Some(theirs), ..ended(486, "Busy") }), None),
            (Refusal::of(&Ending::undescribed(&SdpError::NoCommonCodec)), SdpError::NoCommonCodec.warning()),
            (Refusal::from(&SdpError::NoCommonCrypto), SdpError::NoCommonCrypto.warning()),
            (Refusal::from(&SdpError::Syntax("x".to_owned())), None),
            (Refusal::from(StatusCode::FORBIDDEN), None),
        ];
        for (refusal, warning) in table {
            assert_eq!(warned(&refusal), warning, "{refusal:?}");
        }
    }

    #[test]
    fn who_is_full_says_when_to_come_again() {
        let refusal = Refusal::from(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refusal.headers, [("Retry-After".to_owned(), RETRY_AFTER.to_string())]);
    }
}
