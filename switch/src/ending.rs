//! How a call ends: from what the far end, the API, the program or a limit did, to one status and one [`Cause`].

use crate::letter::Release;
use crate::{Cause, Origin, Status};
use carrier::TwilioError;
use sip_core::header::Warning;
use sip_core::sdp::SdpError;

/// A decision that a call is over.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// The status it keeps.
    pub(crate) status: Status,
    /// Why.
    pub(crate) cause: Cause,
    /// Said in a Reason header beside the Q.850 cause's (RFC 3326).
    pub(crate) elsewhere: bool,
    /// What a 488 says besides (RFC 3261 §20.43), where more is known than the cause's reason.
    pub(crate) warning: Option<Warning>,
}

impl Ending {
    /// An end by whoever, after an answer or before it, with the SIP status that stands for it.
    pub(crate) fn new(status: Status, origin: Origin, sip_status: u16, reason: impl Into<String>) -> Self {
        let cause = Cause {
            sip_status: Some(sip_status),
            q850: carrier::q850(sip_status),
            origin,
            retry: false,
            reason: reason.into(),
        };
        Self { status, cause, elsewhere: false, warning: None }
    }

    /// A call whose offer cannot be agreed to.
    pub(crate) fn undescribed(error: &SdpError) -> Self {
        let ending = Self::new(Status::Failed, Origin::Switch, error.status(), error.to_string());
        Self { warning: error.warning(), ..ending }
    }

    /// The end of a leg because another call has ended, or has no use for it any more.
    pub(crate) fn released(by: &Release, answered: bool) -> Self {
        let ending = if answered {
            Self::cleared(by.origin, &by.reason)
        } else {
            Self::new(Status::Canceled, by.origin, 487, by.reason.clone())
        };
        Self { elsewhere: by.elsewhere, ..ending }
    }

    /// What is said of a call whose bridge came to nothing: this leg's own end, as its caller hears it. A status that
    /// concerns only the leg (a challenge, a redirection, an overloaded path, a fault found in our own request) is not the
    /// caller's business (RFC 3261 §16.7, steps 5 and 6).
    pub(crate) fn toward_the_caller(mut self) -> Self {
        self.elsewhere = false;
        self.cause.sip_status = self.cause.sip_status.map(|code| match code {
            300..=399 | 401 | 407 | 487 | 491 => 480,
            400
            | 402
            | 405
            | 413..=416
            | 420..=423
            | 428
            | 436..=440
            | 469
            | 481
            | 489
            | 493
            | 494
            | 503
            | 505
            | 513
            | 580 => 500,
            other => other,
        });
        self
    }

    /// Which of two failures of a fork is told: one for all destinations before one for some, then the lower class, with
    /// one that the caller could act on before others (RFC 3261 §16.7, step 6).
    pub(crate) fn better(self, other: Self) -> Self {
        if other.rank() < self.rank() { other } else { self }
    }

    fn rank(&self) -> (u16, u16) {
        match self.cause.sip_status.unwrap_or(500) {
            code @ 600.. => (0, code),
            code @ (401 | 407 | 415 | 420 | 484) => (code / 100, 0),
            code @ 486 => (code / 100, 1),
            code => (code / 100, 2),
        }
    }

    /// The same, and the call might succeed later or elsewhere.
    pub(crate) fn retriable(mut self) -> Self {
        self.cause.retry = true;
        self
    }

    /// An answered call that ended in good order.
    pub(crate) fn cleared(origin: Origin, reason: &str) -> Self {
        let mut ending = Self::new(Status::Completed, origin, 200, reason);
        ending.cause.q850 = carrier::NORMAL_CLEARING;
        ending
    }

    /// Nobody answered within the call's `timeout_s`.
    pub(crate) fn no_answer() -> Self {
        let mut ending = Self::new(Status::NoAnswer, Origin::Limit, 408, "nobody answered in time").retriable();
        ending.cause.q850 = carrier::NO_ANSWER;
        ending
    }

    /// The API asked for the end before anybody answered.
    pub(crate) fn canceled() -> Self {
        Self::new(Status::Canceled, Origin::Api, 487, "ended by the API")
    }

    /// A final response to our INVITE.
    pub(crate) fn refused(code: u16, phrase: &str, twilio: Option<&TwilioError>) -> Self {
        let (status, origin) = status_of(code);
        let reason = twilio.map_or_else(|| phrase.to_owned(), |error| format!("{} {}", error.code, error.text));
        let retry = carrier::classify(code, twilio.map(|error| error.code)) == carrier::Outcome::TryNext;
        let mut ending = Self::new(status, origin, code, reason);
        ending.cause.retry = retry;
        ending
    }
}

/// The status that a call keeps after this final response, and who gave it: a user's own answer, or the network's.
fn status_of(code: u16) -> (Status, Origin) {
    match code {
        486 | 600 | 603 => (Status::Busy, Origin::Callee),
        480 | 487 => (Status::NoAnswer, Origin::Callee),
        408 => (Status::NoAnswer, Origin::Carrier),
        _ => (Status::Failed, Origin::Carrier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_response_decides_status_origin_and_whether_another_trunk_is_tried() {
        let table = [
            (486, Status::Busy, Origin::Callee, false),
            (600, Status::Busy, Origin::Callee, false),
            (603, Status::Busy, Origin::Callee, false),
            (480, Status::NoAnswer, Origin::Callee, false),
            (487, Status::NoAnswer, Origin::Callee, false),
            (408, Status::NoAnswer, Origin::Carrier, true),
            (404, Status::Failed, Origin::Carrier, false),
            (403, Status::Failed, Origin::Carrier, false),
            (503, Status::Failed, Origin::Carrier, true),
        ];
        for (code, status, origin, retry) in table {
            let ending = Ending::refused(code, "why", None);
            let cause = &ending.cause;
            assert_eq!((ending.status, cause.origin, cause.retry), (status, origin, retry), "{code}");
            assert_eq!(cause.sip_status, Some(code));
        }
    }

    #[test]
    fn what_was_wrong_with_our_own_request_is_not_the_callers_business() {
        let heard = |code| Ending::refused(code, "why", None).toward_the_caller().cause.sip_status;
        for (theirs, ours) in
            [(400, 500), (440, 500), (422, 500), (405, 500), (415, 500), (420, 500), (503, 500), (401, 480), (302, 480)]
        {
            assert_eq!(heard(theirs), Some(ours), "{theirs}");
        }
        for code in [403, 404, 408, 410, 480, 482, 483, 484, 486, 488, 600, 603] {
            assert_eq!(heard(code), Some(code));
        }
    }

    #[test]
    fn twilios_own_word_is_the_reason_and_overrides_the_status() {
        let error = carrier::parse_twilio_error("32204 Caller ID not verified").expect("an error");
        let ending = Ending::refused(403, "Forbidden", Some(&error));
        assert_eq!(ending.cause.reason, "32204 Caller ID not verified");
        let busy = carrier::parse_twilio_error("32001 CPS limit exceeded").expect("an error");
        assert!(Ending::refused(403, "Forbidden", Some(&busy)).cause.retry);
    }

    #[test]
    fn nobody_answering_is_q850_19_and_a_good_end_16() {
        assert_eq!(Ending::no_answer().cause.q850, 19);
        assert_eq!(Ending::cleared(Origin::Program, "").cause.q850, 16);
    }
}
