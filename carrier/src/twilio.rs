//! What is Twilio's own: the ranges its signalling and media come from, and what its `X-Twilio-Error` says
//! (TWILIO.md §1.2, §1.6, §1.8).

use ipnet::Ipv4Net;
use std::fmt;
use std::net::Ipv4Addr;

const fn net(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// Where Twilio's signalling comes from and goes to, by edge. They are shared by all its customers.
pub const SIGNALLING_RANGES: [Ipv4Net; 8] = [
    net(54, 172, 60, 0, 30),    // ashburn
    net(54, 244, 51, 0, 30),    // umatilla
    net(54, 171, 127, 192, 30), // dublin
    net(35, 156, 191, 128, 30), // frankfurt
    net(54, 169, 127, 128, 30), // singapore
    net(54, 65, 63, 192, 30),   // tokyo
    net(54, 252, 254, 64, 30),  // sydney
    net(177, 71, 206, 192, 30), // sao-paulo
];

/// Where Twilio's media comes from, of every edge.
pub const MEDIA_RANGES: [Ipv4Net; 1] = [net(168, 86, 128, 0, 18)];

/// Names the account that a call belongs to: the ranges are shared, this tells its customers apart.
pub const X_TWILIO_ACCOUNT_SID: &str = "X-Twilio-AccountSid";

/// Twilio's own name for a call: the key for its support and for its Calls resource.
pub const X_TWILIO_CALL_SID: &str = "X-Twilio-CallSid";

/// Twilio's own word on a failure: see [`parse_twilio_error`].
pub const X_TWILIO_ERROR: &str = "X-Twilio-Error";

/// Characters of an error's text that are kept; the rest is cut.
const MAX_TEXT: usize = 200;

/// The value of an `X-Twilio-Error` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwilioError {
    /// Twilio's code.
    pub code: u32,
    /// Its own words, cut to 200 characters, control characters replaced.
    pub text: String,
    /// What the code means, where it is one that this switch knows.
    pub meaning: Option<&'static str>,
}

impl fmt::Display for TwilioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)?;
        self.meaning.map_or(Ok(()), |meaning| write!(f, " ({meaning})"))
    }
}

/// Reads the value of an `X-Twilio-Error` header: `<code> <text>`. Nothing where it does not begin with a code.
#[must_use]
pub fn parse_twilio_error(value: &str) -> Option<TwilioError> {
    let value = value.trim();
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (code, text) = value.split_at_checked(end)?;
    let code = code.parse().ok()?;
    let text = text.trim_start_matches([' ', '\t', ':', '-']).chars().take(MAX_TEXT);
    let text = text.map(|c| if c.is_control() { ' ' } else { c }).collect();
    Some(TwilioError { code, text, meaning: meaning(code) })
}

const fn meaning(code: u32) -> Option<&'static str> {
    Some(match code {
        32001 => "the trunk's calls per second are exceeded",
        32012 => "the calls per second of the pool are exceeded",
        10004 => "the concurrent call limit is exceeded",
        32010 => "the trunk has no origination URL",
        32011 => "the trunk's own infrastructure failed",
        32015 => "the call reached its maximum duration",
        32100 => "a trial account may call verified numbers only",
        32101 => "the called number is not valid E.164",
        32200 => "insufficient permissions, geographic ones among them",
        32201 => "our address is not in the trunk's access control list",
        32203 => "blocked, by fraud prevention or regulation",
        32204 => "the caller ID is neither owned nor verified",
        32209 => "the trunk requires TLS and SRTP",
        32219 => "the redirect cannot be followed",
        32222 => "this version of TLS is not allowed",
        32224 => "the forwarded call is not permitted",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_code_text_and_meaning() {
        let error = parse_twilio_error("32204 Caller ID not verified").unwrap();
        assert_eq!((error.code, error.text.as_str()), (32204, "Caller ID not verified"));
        assert_eq!(error.to_string(), "32204 Caller ID not verified (the caller ID is neither owned nor verified)");
        assert_eq!(parse_twilio_error(" 64001 Something new ").unwrap().to_string(), "64001 Something new");
        assert_eq!(parse_twilio_error("32001").unwrap().text, "");
        assert_eq!(parse_twilio_error("32001: cps limit").unwrap().text, "cps limit");
    }

    #[test]
    fn survives_whatever_else_stands_there() {
        for odd in ["", " ", "x", "-1 a", "99999999999 a", "Fehler 32204", "é32204"] {
            assert_eq!(parse_twilio_error(odd), None, "{odd}");
        }
        assert_eq!(parse_twilio_error("1é").unwrap().text, "é");
        assert_eq!(parse_twilio_error("1 a\r\nb").unwrap().text, "a  b");
        assert_eq!(parse_twilio_error(&format!("1 {}", "é".repeat(5_000))).unwrap().text.chars().count(), MAX_TEXT);
    }
}
