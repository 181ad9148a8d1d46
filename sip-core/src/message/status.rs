//! Status codes and their default reason phrases (RFC 3261 §21 and the IANA registry).

use std::fmt;

/// A status code from 100 to 699. What it means is in [`StatusCode::class`]; an unknown code is treated as the x00 of
/// its class (RFC 3261 §8.1.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

impl StatusCode {
    /// The code, where it lies in 100..=699.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 699 { Some(Self(code)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// 1 to 6: the first digit.
    #[must_use]
    pub const fn class(self) -> u16 {
        self.0 / 100
    }

    /// 1xx.
    #[must_use]
    pub const fn is_provisional(self) -> bool {
        self.class() == 1
    }

    /// 2xx.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// Anything but 1xx.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !self.is_provisional()
    }
}

macro_rules! statuses {
    ($($name:ident $code:literal $reason:literal)*) => {
        impl StatusCode {
            $(
                #[doc = concat!($code, " ", $reason, ".")]
                pub const $name: Self = Self($code);
            )*

            /// The registered reason phrase; for an unregistered code that of its class.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    100..=199 => "Session Progress",
                    200..=299 => "OK",
                    300..=399 => "Redirection",
                    400..=499 => "Request Failure",
                    500..=599 => "Server Failure",
                    _ => "Global Failure",
                }
            }
        }
    };
}

statuses! {
    TRYING 100 "Trying"
    RINGING 180 "Ringing"
    CALL_IS_BEING_FORWARDED 181 "Call Is Being Forwarded"
    QUEUED 182 "Queued"
    SESSION_PROGRESS 183 "Session Progress"
    EARLY_DIALOG_TERMINATED 199 "Early Dialog Terminated"
    OK 200 "OK"
    ACCEPTED 202 "Accepted"
    NO_NOTIFICATION 204 "No Notification"
    MULTIPLE_CHOICES 300 "Multiple Choices"
    MOVED_PERMANENTLY 301 "Moved Permanently"
    MOVED_TEMPORARILY 302 "Moved Temporarily"
    USE_PROXY 305 "Use Proxy"
    ALTERNATIVE_SERVICE 380 "Alternative Service"
    BAD_REQUEST 400 "Bad Request"
    UNAUTHORIZED 401 "Unauthorized"
    PAYMENT_REQUIRED 402 "Payment Required"
    FORBIDDEN 403 "Forbidden"
    NOT_FOUND 404 "Not Found"
    METHOD_NOT_ALLOWED 405 "Method Not Allowed"
    NOT_ACCEPTABLE 406 "Not Acceptable"
    PROXY_AUTHENTICATION_REQUIRED 407 "Proxy Authentication Required"
    REQUEST_TIMEOUT 408 "Request Timeout"
    GONE 410 "Gone"
    CONDITIONAL_REQUEST_FAILED 412 "Conditional Request Failed"
    REQUEST_ENTITY_TOO_LARGE 413 "Request Entity Too Large"
    REQUEST_URI_TOO_LONG 414 "Request-URI Too Long"
    UNSUPPORTED_MEDIA_TYPE 415 "Unsupported Media Type"
    UNSUPPORTED_URI_SCHEME 416 "Unsupported URI Scheme"
    BAD_EXTENSION 420 "Bad Extension"
    EXTENSION_REQUIRED 421 "Extension Required"
    SESSION_INTERVAL_TOO_SMALL 422 "Session Interval Too Small"
    INTERVAL_TOO_BRIEF 423 "Interval Too Brief"
    USE_IDENTITY_HEADER 428 "Use Identity Header"
    PROVIDE_REFERRER_IDENTITY 429 "Provide Referrer Identity"
    FLOW_FAILED 430 "Flow Failed"
    ANONYMITY_DISALLOWED 433 "Anonymity Disallowed"
    BAD_IDENTITY_INFO 436 "Bad Identity Info"
    UNSUPPORTED_CREDENTIAL 437 "Unsupported Credential"
    INVALID_IDENTITY_HEADER 438 "Invalid Identity Header"
    FIRST_HOP_LACKS_OUTBOUND_SUPPORT 439 "First Hop Lacks Outbound Support"
    BAD_INFO_PACKAGE 469 "Bad Info Package"
    TEMPORARILY_UNAVAILABLE 480 "Temporarily Unavailable"
    CALL_OR_TRANSACTION_DOES_NOT_EXIST 481 "Call/Transaction Does Not Exist"
    LOOP_DETECTED 482 "Loop Detected"
    TOO_MANY_HOPS 483 "Too Many Hops"
    ADDRESS_INCOMPLETE 484 "Address Incomplete"
    AMBIGUOUS 485 "Ambiguous"
    BUSY_HERE 486 "Busy Here"
    REQUEST_TERMINATED 487 "Request Terminated"
    NOT_ACCEPTABLE_HERE 488 "Not Acceptable Here"
    BAD_EVENT 489 "Bad Event"
    REQUEST_PENDING 491 "Request Pending"
    UNDECIPHERABLE 493 "Undecipherable"
    SECURITY_AGREEMENT_REQUIRED 494 "Security Agreement Required"
    SERVER_INTERNAL_ERROR 500 "Server Internal Error"
    NOT_IMPLEMENTED 501 "Not Implemented"
    BAD_GATEWAY 502 "Bad Gateway"
    SERVICE_UNAVAILABLE 503 "Service Unavailable"
    SERVER_TIMEOUT 504 "Server Time-out"
    VERSION_NOT_SUPPORTED 505 "Version Not Supported"
    MESSAGE_TOO_LARGE 513 "Message Too Large"
    PRECONDITION_FAILURE 580 "Precondition Failure"
    BUSY_EVERYWHERE 600 "Busy Everywhere"
    DECLINE 603 "Decline"
    DOES_NOT_EXIST_ANYWHERE 604 "Does Not Exist Anywhere"
    NOT_ACCEPTABLE_ANYWHERE 606 "Not Acceptable"
    UNWANTED 607 "Unwanted"
    REJECTED 608 "Rejected"
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<u16> for StatusCode {
    type Error = u16;

    /// The code, or the number back where it lies outside 100..=699.
    fn try_from(code: u16) -> Result<Self, u16> {
        Self::new(code).ok_or(code)
    }
}

impl From<StatusCode> for u16 {
    fn from(status: StatusCode) -> Self {
        status.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_100_to_699_is_a_status_code() {
        assert_eq!([99, 700, 0].map(StatusCode::new), [None; 3]);
        assert_eq!(StatusCode::new(486), Some(StatusCode::BUSY_HERE));
        assert_eq!(StatusCode::try_from(999), Err(999));
    }

    #[test]
    fn an_unregistered_code_has_the_phrase_of_its_class() {
        assert_eq!(StatusCode::new(499).map(StatusCode::reason), Some("Request Failure"));
        assert_eq!(StatusCode::OK.reason(), "OK");
        assert!(StatusCode::RINGING.is_provisional() && !StatusCode::RINGING.is_final());
    }
}
