//! The first line: Request-Line and Status-Line (RFC 3261 §7.1, §7.2).

use super::error::{Fault, ParseError, Part};
use super::index::Span;
use super::{Method, StatusCode};
use crate::header::scan::is_token;

/// What a message begins with.
#[derive(Clone, Debug)]
pub(super) enum StartLine {
    Request { method: Method, uri: Span },
    Response { status: StatusCode, reason: Span },
}

const fn fault(fault: Fault) -> ParseError {
    ParseError::new(Part::StartLine, fault)
}

/// True where the line that `bytes` begins with is meant as a response, well-formed or not.
pub(super) fn looks_like_response(bytes: &[u8]) -> bool {
    bytes.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/"))
}

/// Reads the line between `start` and `end`.
pub(super) fn parse(bytes: &[u8], start: usize, end: usize) -> Result<StartLine, ParseError> {
    let line = bytes.get(start..end).unwrap_or_default();
    if looks_like_response(line) { status_line(line, start) } else { request_line(line, start) }
}

/// `Method SP Request-URI SP SIP-Version`: single spaces, none at the end (RFC 4475 §3.1.2.8, §3.1.2.10).
fn request_line(line: &[u8], start: usize) -> Result<StartLine, ParseError> {
    let space = memchr::memchr(b' ', line).ok_or(fault(Fault::Syntax("a method and a Request-URI")))?;
    let last = memchr::memrchr(b' ', line).unwrap_or(space);
    let method = &line[..space];
    if !is_token(method) {
        return Err(fault(Fault::Syntax("a method")));
    }
    check_version(&line[last + 1..])?;
    let uri = line.get(space + 1..last).filter(|uri| !uri.is_empty()).ok_or(fault(Fault::Syntax("a Request-URI")))?;
    if memchr::memchr2(b' ', b'\t', uri).is_some() {
        return Err(fault(Fault::Syntax("single spaces")));
    }
    Ok(StartLine::Request { method: Method::from_token(method), uri: Span::new(start + space + 1, start + last) })
}

/// `SIP-Version SP Status-Code SP Reason-Phrase`; the phrase may be empty, and then its space missing.
fn status_line(line: &[u8], start: usize) -> Result<StartLine, ParseError> {
    let space = memchr::memchr(b' ', line).ok_or(fault(Fault::Syntax("a status code")))?;
    check_version(&line[..space])?;
    let rest = &line[space + 1..];
    let code = rest.get(..3).filter(|_| matches!(rest.get(3), None | Some(b' '))).and_then(three_digits);
    let status = code.and_then(StatusCode::new).ok_or(fault(Fault::Syntax("a status code")))?;
    let phrase = start + (space + 5).min(line.len());
    Ok(StartLine::Response { status, reason: Span::new(phrase, start + line.len()) })
}

fn three_digits(text: &[u8]) -> Option<u16> {
    text.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u16::from(b - b'0')))
}

fn check_version(text: &[u8]) -> Result<(), ParseError> {
    if text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let number = text.get(4..).filter(|_| looks_like_response(text)).unwrap_or_default();
    let mut parts = number.split(|&b| b == b'.');
    let digits = |part: Option<&[u8]>| part.is_some_and(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit));
    let is_version = digits(parts.next()) && digits(parts.next()) && parts.next().is_none();
    Err(fault(if is_version { Fault::Version } else { Fault::Syntax("SIP/2.0") }))
}
