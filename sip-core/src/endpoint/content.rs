//! The session description among other things: a body of several parts (RFC 2046 §5.1, RFC 5621), and one that need not be
//! understood (RFC 3261 §20.11). What is left of the message's body is the description, or nothing.

use super::compose::SDP;
use crate::header::ContentType;
use crate::message::{Message, Method, Name};

/// Parts of one body that are looked at: with more it is refused as a type that is not understood.
const MAX_PARTS: usize = 16;
/// Header lines of one part that are looked at: with more the part is one that is not understood.
const MAX_PART_HEADERS: usize = 16;

/// An INVITE, or what belongs to one, with its session description for a body. What cannot be understood and may not be
/// left out stays as it is.
pub(super) fn described(message: Message) -> Message {
    let carries = matches!(message.method(), Method::Invite | Method::Update | Method::Prack | Method::Ack);
    let is_plain = || message.header(Name::ContentType).is_none_or(|kind| kind.eq_ignore_ascii_case(SDP.as_bytes()));
    if !carries || is_plain() || message.body().is_empty() {
        return message;
    }
    let Ok(Some(kind)) = message.content_type() else { return message };
    let is_optional = || message.header(Name::ContentDisposition).is_some_and(|value| is_optional(&value));
    let part = if kind.kind == "multipart" {
        let boundary = kind.params.get_unquoted("boundary").unwrap_or_default();
        let parts = parts(message.body(), boundary.as_bytes());
        parts
            .and_then(|parts| choose(&parts, kind.subtype == "alternative"))
            .or_else(|| is_optional().then_some(&b""[..]))
    } else {
        (!kind.is(SDP) && is_optional()).then_some(&b""[..])
    };
    let part = part.map(|part| message.body().slice_ref(part));
    match part {
        Some(part) => message.with_part(part),
        None => message,
    }
}

/// One part of a body.
struct Part<'a> {
    is_sdp: bool,
    /// It may be left out.
    is_optional: bool,
    body: &'a [u8],
}

/// The description among these parts: of alternatives the last, which is the best (RFC 2046 §5.1.4), else the first, where
/// whatever else has come may be left out (RFC 5621 §4). Nothing at all where all may.
fn choose<'a>(parts: &[Part<'a>], alternative: bool) -> Option<&'a [u8]> {
    if alternative {
        return parts.iter().rev().find(|part| part.is_sdp).map(|part| part.body);
    }
    let at = parts.iter().position(|part| part.is_sdp);
    let may = parts.iter().enumerate().all(|(nth, part)| part.is_optional || at == Some(nth));
    may.then(|| at.and_then(|at| parts.get(at)).map_or(&b""[..], |part| part.body))
}

/// The parts between the delimiters, in one pass; none where there is no such body, or more than [`MAX_PARTS`].
fn parts<'a>(body: &'a [u8], boundary: &[u8]) -> Option<Vec<Part<'a>>> {
    if boundary.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    let (mut at, mut begun) = (0, None);
    for line in body.split_inclusive(|&octet| octet == b'\n') {
        let next = at + line.len();
        if let Some(rest) = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary)) {
            let rest = rest.trim_ascii_end();
            if rest.is_empty() || rest == b"--" {
                if let Some(begun) = begun {
                    parts.push(part(body.get(begun..at)?)?);
                }
                if rest == b"--" {
                    return Some(parts);
                }
                begun = (parts.len() < MAX_PARTS).then_some(next);
                begun?;
            }
        }
        at = next;
    }
    // Without the last delimiter something may be missing.
    None
}

/// Header lines, an empty line, the part's own body; the line end before the delimiter belongs to that.
fn part(text: &[u8]) -> Option<Part<'_>> {
    let (mut at, mut kind, mut optional, mut as_it_is, mut ended) = (0, None, false, true, false);
    for line in text.split_inclusive(|&octet| octet == b'\n').take(MAX_PART_HEADERS + 1) {
        at += line.len();
        let line = line.trim_ascii();
        if line.is_empty() {
            ended = true;
            break;
        }
        let colon = line.iter().position(|&octet| octet == b':')?;
        let (name, value) = line.split_at(colon);
        let (name, value) = (name.trim_ascii_end(), value.get(1..)?.trim_ascii());
        if name.eq_ignore_ascii_case(b"Content-Type") || name.eq_ignore_ascii_case(b"c") {
            kind = ContentType::parse(value).ok();
        } else if name.eq_ignore_ascii_case(b"Content-Disposition") {
            optional = is_optional(value);
        } else if name.eq_ignore_ascii_case(b"Content-Transfer-Encoding") {
            as_it_is = [&b"7bit"[..], b"8bit", b"binary"].iter().any(|known| value.eq_ignore_ascii_case(known));
        } else if name.eq_ignore_ascii_case(b"Content-Encoding") {
            as_it_is = value.eq_ignore_ascii_case(b"identity");
        }
    }
    let body = text.get(at..)?;
    let body = body.strip_suffix(b"\n").map_or(body, |body| body.strip_suffix(b"\r").unwrap_or(body));
    let is_sdp = ended && as_it_is && kind.is_some_and(|kind| kind.is(SDP));
    Some(Part { is_sdp, is_optional: optional, body })
}

/// `…;handling=optional`, or what is only pointed at from elsewhere (`by-reference`, RFC 5621): whoever does not
/// understand it leaves it out.
fn is_optional(disposition: &[u8]) -> bool {
    let mut params = disposition.split(|&octet| octet == b';').map(<[u8]>::trim_ascii);
    let is_reference = params.next().is_some_and(|kind| kind.eq_ignore_ascii_case(b"by-reference"));
    is_reference
        || params.any(|param| {
            let mut sides = param.splitn(2, |&octet| octet == b'=').map(<[u8]>::trim_ascii);
            let [name, value] = [sides.next(), sides.next()].map(Option::unwrap_or_default);
            name.eq_ignore_ascii_case(b"handling")
                && [&b"optional"[..], b"\"optional\""].iter().any(|optional| value.eq_ignore_ascii_case(optional))
        })
}
