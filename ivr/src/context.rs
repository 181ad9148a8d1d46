//! Who is on the call, as its requests say it (TWILIO.md §3.1).

use crate::http::Params;

/// The identity of a call, handed in by whoever runs its program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallContext {
    /// `CA` and 32 hexadecimal digits.
    pub call_sid: String,
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The caller: a number, a SIP URI or `client:` and a name.
    pub from: String,
    /// The called.
    pub to: String,
    /// Which way, from the account's side.
    pub direction: Direction,
    /// The one who has forwarded the call here.
    pub forwarded_from: Option<String>,
    /// The caller's name, where it was told.
    pub caller_name: Option<String>,
    /// The call that has made this one.
    pub parent_call_sid: Option<String>,
    /// The verdict of a synchronous answering-machine detection.
    pub answered_by: Option<String>,
    /// What else is known, in the order in which it is sent: `SipCallId`, `SipHeader_X-…`, `FromCity`.
    pub extra: Params,
    /// Where this product may be as another version of Twilio was.
    pub quirks: Quirks,
}

/// Which way a call goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To us.
    #[default]
    Inbound,
    /// Made by a request to the API.
    OutboundApi,
    /// Made by a Dial.
    OutboundDial,
}

/// Behaviours on which Twilio's own documents differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// A Record into which nothing was said asks for nothing and goes on with the next verb (TWILIO.md §4.3, 13).
    pub empty_recording_falls_through: bool,
}

impl Direction {
    /// Twilio's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundDial => "outbound-dial",
        }
    }
}

/// Whose place is told.
const WHO: [&str; 4] = ["From", "To", "Caller", "Called"];

/// What is told of a place; sent empty where it is not known.
const PLACE: [&str; 4] = ["City", "State", "Zip", "Country"];

impl CallContext {
    /// The parameters that every request about this call carries, with the status that it has now.
    #[must_use]
    pub fn params(&self, call_status: &str) -> Params {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut params = vec![
            pair("CallSid", &self.call_sid),
            pair("AccountSid", &self.account_sid),
            pair("From", &self.from),
            pair("To", &self.to),
            pair("Caller", &self.from),
            pair("Called", &self.to),
            pair("CallStatus", call_status),
            pair("ApiVersion", "2010-04-01"),
            pair("Direction", self.direction.as_str()),
        ];
        let known = [
            ("ForwardedFrom", &self.forwarded_from),
            ("CallerName", &self.caller_name),
            ("ParentCallSid", &self.parent_call_sid),
            ("AnsweredBy", &self.answered_by),
        ];
        params.extend(known.iter().filter_map(|(name, value)| value.as_deref().map(|value| pair(name, value))));
        let places = WHO.iter().flat_map(|who| PLACE.iter().map(move |part| format!("{who}{part}")));
        params.extend(
            places.filter(|name| self.extra.iter().all(|(other, _)| other != name)).map(|n| (n, String::new())),
        );
        params.extend(self.extra.iter().cloned());
        params
    }
}
