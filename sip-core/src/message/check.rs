//! What is fit to be processed (RFC 3261 §8.1.3, §8.2, §16.3; RFC 4475 §3.1.2 and §3.3).
//!
//! These checks come before a transaction is made. They decide what can be decided without knowing who one is: extensions
//! (420), methods (405, 501), media types (415) and whether one is a registrar are the endpoint's.

use super::error::{Fault, ParseError, Part, Reject};
use super::{Message, Name};
use crate::header::{Via, date};
use crate::uri::Scheme;

/// Headers that stand once, if at all.
const SINGLE: [Name; 5] = [Name::MaxForwards, Name::Expires, Name::Date, Name::ContentType, Name::Event];

/// Decides whether a request is fit to be processed.
///
/// Max-Forwards, a From tag and a branch may be missing, as RFC 2543 had it (RFC 4475 §3.4.1).
///
/// # Errors
/// The answer it gets instead. An ACK gets none (RFC 3261 §17): the caller sees to that.
pub fn check_request(message: &Message) -> Result<(), Reject> {
    check_mandatory(message)?;
    check_request_uri(message)?;
    check_optional(message)?;
    Ok(())
}

/// Decides whether a response is fit to be processed.
///
/// # Errors
/// Why it is to be discarded: a mandatory header missing or malformed, or more than the one Via of ours (RFC 3261
/// §8.1.3.3), which a response to a request of our own never has.
pub fn check_response(message: &Message) -> Result<(), ParseError> {
    check_mandatory(message)?;
    if message.values(Name::Via).nth(1).is_some() {
        return Err(ParseError::new(Part::Header(Name::Via), Fault::Repeated));
    }
    Ok(())
}

/// The headers of every message (RFC 3261 §8.1.1, §8.2.6.2).
fn check_mandatory(message: &Message) -> Result<(), ParseError> {
    check_vias(message)?;
    message.from()?;
    message.to()?;
    message.call_id()?;
    let cseq = message.cseq()?;
    if message.is_request() && cseq.method != message.method() {
        return Err(ParseError::new(Part::Header(Name::CSeq), Fault::Syntax("the request's method")));
    }
    Ok(())
}

fn check_vias(message: &Message) -> Result<(), ParseError> {
    let top = message.top_via()?;
    // The magic cookie promises a unique branch and nothing follows: no transaction can be told from it (RFC 4475 §3.2.1).
    if top.branch() == Some(crate::header::MAGIC_COOKIE) {
        return Err(ParseError::new(Part::Header(Name::Via), Fault::Syntax("a branch after the magic cookie")));
    }
    let malformed = message.values(Name::Via).skip(1).find_map(|value| Via::parse(&value).err());
    malformed.map_or(Ok(()), |error| Err(error.at(Part::Header(Name::Via))))
}

fn check_request_uri(message: &Message) -> Result<(), ParseError> {
    let uri = message.request_uri()?;
    if uri.scheme() == Scheme::Other {
        return Err(ParseError::new(Part::RequestUri, Fault::UriScheme));
    }
    // Headers are not allowed in a Request-URI (RFC 3261 §19.1.1, table 1), and would be injected if they were acted on.
    if uri.has_headers() {
        return Err(ParseError::new(Part::RequestUri, Fault::Syntax("no headers")));
    }
    Ok(())
}

fn check_optional(message: &Message) -> Result<(), ParseError> {
    if let Some(name) = SINGLE.into_iter().find(|name| message.count(*name) > 1) {
        return Err(ParseError::new(Part::Header(name), Fault::Repeated));
    }
    message.max_forwards()?;
    message.expires()?;
    message.content_type()?;
    if message.header(Name::Date).is_some_and(|date| !date::is_sip_date(&date)) {
        return Err(ParseError::new(Part::Header(Name::Date), Fault::Syntax("a date in GMT")));
    }
    message.contact()?;
    message.routes()?;
    message.record_routes()?;
    Ok(())
}
