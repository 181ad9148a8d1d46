//! What can be copied out of a request that cannot be parsed, so that it can still be answered (RFC 3261 §8.2.6.2,
//! RFC 4475 §3.1.2).

use super::start_line::looks_like_response;
use super::{MAX_HEADERS, MAX_LINE_BYTES, MAX_MESSAGE_BYTES, Name};
use crate::header::scan::{split_list, trim, unfold};

/// The most Vias that a response copies. A request with more has looped for longer than Max-Forwards allows; a list of
/// them on few lines would otherwise be answered with a much larger message.
pub(super) const MAX_VIAS: usize = 128;

/// The headers of a request that its response copies, as far as they can be made out. Values are as they came, on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvage {
    pub(super) vias: Vec<Vec<u8>>,
    pub(super) record_routes: Vec<Vec<u8>>,
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) call_id: Vec<u8>,
    pub(super) cseq: Vec<u8>,
    pub(super) timestamp: Vec<u8>,
}

impl Salvage {
    /// Looks for them in bytes that [`super::Message::parse`] has refused.
    ///
    /// Nothing where an answer would be wrong or could not be matched: no request, an ACK, no Via, no Call-ID, or a message
    /// beyond [`MAX_MESSAGE_BYTES`] or [`MAX_HEADERS`].
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(super::leading_line_ends(bytes)..).filter(|_| bytes.len() <= MAX_MESSAGE_BYTES)?;
        if looks_like_response(head) || head.starts_with(b"ACK ") {
            return None;
        }
        let mut found = Self::default();
        for (name, value) in header_lines(head).take(MAX_HEADERS) {
            found.keep(name, &unfold(value));
        }
        (!found.vias.is_empty() && !found.call_id.is_empty()).then_some(found)
    }

    /// Keeps a value; of a header that stands once the first.
    fn keep(&mut self, name: Name, value: &[u8]) {
        let slot = match name {
            Name::Via => {
                let room = MAX_VIAS.saturating_sub(self.vias.len());
                return self.vias.extend(split_list(value).take(room).map(<[u8]>::to_vec));
            }
            Name::RecordRoute => return self.record_routes.push(value.to_vec()),
            Name::From => &mut self.from,
            Name::To => &mut self.to,
            Name::CallId => &mut self.call_id,
            Name::CSeq => &mut self.cseq,
            Name::Timestamp => &mut self.timestamp,
            _ => return,
        };
        if slot.is_empty() {
            *slot = value.to_vec();
        }
    }
}

/// The header lines after the first line, up to an empty line or the end; lines without a colon are passed over.
fn header_lines(head: &[u8]) -> impl Iterator<Item = (Name, &[u8])> {
    let mut at = memchr::memchr(b'\n', head).map_or(head.len(), |end| end + 1);
    std::iter::from_fn(move || {
        loop {
            let rest = head.get(at..).filter(|rest| !rest.is_empty())?;
            let len = logical_line(rest);
            let line = trim(rest.get(..len)?);
            at += len;
            if line.is_empty() {
                return None;
            }
            if let Some(colon) = memchr::memchr(b':', line).filter(|_| line.len() <= MAX_LINE_BYTES) {
                return Some((Name::from_bytes(trim(&line[..colon])), trim(&line[colon + 1..])));
            }
        }
    })
}

/// The length of a line with its continuations and line ends; an empty line has no continuations.
fn logical_line(rest: &[u8]) -> usize {
    let line = |from: usize| memchr::memchr(b'\n', rest.get(from..)?).map(|end| from + end + 1);
    let Some(mut len) = line(0) else { return rest.len() };
    if trim(rest.get(..len).unwrap_or_default()).is_empty() {
        return len;
    }
    while matches!(rest.get(len), Some(b' ' | b'\t')) {
        match line(len) {
            Some(end) => len = end,
            None => return rest.len(),
        }
    }
    len
}
