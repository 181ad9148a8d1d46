//! Which transaction a message belongs to: RFC 3261 §17.1.3 for responses, §17.2.3 for requests (with its fallback for
//! RFC 2543 peers, whose branch lacks the magic cookie), §9.2 for CANCEL, §8.2.2.2 for merged requests.
//!
//! A key is plain text, compared whole; nothing here looks into a table.

use crate::dialog::DialogId;
use crate::header::MAGIC_COOKIE;
use crate::message::{Message, ParseError};
use crate::uri::Host;
use std::fmt::Write as _;

/// A client transaction: the branch of the top Via, and CSeq's method, since a CANCEL shares its INVITE's branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKey {
    branch: Box<str>,
    method: Box<str>,
}

impl ClientKey {
    /// The key of a request we send, or of a response we receive. Branches are tokens, compared without regard to case
    /// (§7.3.1); methods are not.
    #[must_use]
    pub fn new(branch: &str, method: &str) -> Self {
        Self { branch: branch.to_ascii_lowercase().into(), method: method.into() }
    }
}

/// The parts of a request that place it in a server transaction.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// The method.
    pub method: &'a str,
    /// The Request-URI as it was written.
    pub uri: &'a [u8],
    /// `branch` of the top Via.
    pub branch: Option<&'a str>,
    /// `sent-by` of the top Via: host and port.
    pub sent_by: (&'a Host, u16),
    /// The tag of From.
    pub from_tag: Option<&'a str>,
    /// The tag of To.
    pub to_tag: Option<&'a str>,
    /// Call-ID.
    pub call_id: &'a str,
    /// The number of CSeq.
    pub cseq: u32,
}

impl<'a> RequestParts<'a> {
    /// The parts of a request.
    ///
    /// # Errors
    /// Where one of them cannot be read.
    pub fn of(request: &'a Message) -> Result<Self, ParseError> {
        let (via, cseq) = (request.top_via()?, request.cseq()?);
        Ok(Self {
            method: cseq.method.as_str(),
            uri: request.request_uri_raw(),
            branch: via.branch(),
            sent_by: (&via.host, via.port_or_default()),
            from_tag: request.from()?.tag(),
            to_tag: request.to()?.tag(),
            call_id: request.call_id()?,
            cseq: cseq.seq,
        })
    }

    /// The dialog that the request is in: none where To has no tag (§12.2.2).
    #[must_use]
    pub fn dialog(&self) -> Option<DialogId> {
        Some(DialogId::new(self.call_id, self.to_tag?, self.from_tag.unwrap_or_default()))
    }

    /// Host and port as a key has them: without regard to case.
    fn sent_by(&self) -> Box<str> {
        let (host, port) = self.sent_by;
        let mut text = String::with_capacity(48);
        // A String takes all that is written.
        let _ = write!(text, "{host}:{port}");
        text.make_ascii_lowercase();
        text.into()
    }
}

/// A server transaction. An ACK has the key of its INVITE: ask with [`ServerKey::of`]; a CANCEL that of what it
/// cancels: ask with [`ServerKey::canceled_by`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerKey {
    /// The peer speaks RFC 3261.
    Branch {
        /// The branch, lower case.
        branch: Box<str>,
        /// The sent-by, lower case: two clients may choose the same branch.
        sent_by: Box<str>,
        /// The method.
        method: Box<str>,
    },
    /// The peer speaks RFC 2543. To's tag is left out: an ACK carries the one we gave, and within a Call-ID and From
    /// tag the CSeq number does not repeat.
    Legacy {
        /// The Request-URI.
        uri: Box<str>,
        /// The tag of From, empty where there is none.
        from_tag: Box<str>,
        /// Call-ID.
        call_id: Box<str>,
        /// CSeq's number.
        cseq: u32,
        /// The top Via's sent-by, lower case.
        sent_by: Box<str>,
        /// The top Via's branch, if any.
        branch: Box<str>,
        /// The method.
        method: Box<str>,
    },
}

impl ServerKey {
    /// The key of a request; an ACK gets that of its INVITE (§17.2.3).
    #[must_use]
    pub fn of(request: &RequestParts<'_>) -> Self {
        let method = if request.method == "ACK" { "INVITE" } else { request.method };
        Self::with_method(request, method)
    }

    /// The key of the INVITE that this CANCEL means (§9.2; nothing but an INVITE may be cancelled, §9.1).
    #[must_use]
    pub fn canceled_by(cancel: &RequestParts<'_>) -> Self {
        Self::with_method(cancel, "INVITE")
    }

    fn with_method(request: &RequestParts<'_>, method: &str) -> Self {
        let branch = request.branch.unwrap_or_default().to_ascii_lowercase();
        let sent_by = request.sent_by();
        if is_unique(&branch) {
            return Self::Branch { branch: branch.into(), sent_by, method: method.into() };
        }
        Self::Legacy {
            uri: String::from_utf8_lossy(request.uri).into(),
            from_tag: request.from_tag.unwrap_or_default().into(),
            call_id: request.call_id.into(),
            cseq: request.cseq,
            sent_by,
            branch: branch.into(),
            method: method.into(),
        }
    }
}

/// True for a branch that carries the cookie and something after it; the bare cookie (seen in RFC 4475 §3.1.2.19's
/// neighbours and in the field) identifies nothing.
fn is_unique(lower_case_branch: &str) -> bool {
    let cookie = MAGIC_COOKIE.len();
    lower_case_branch.len() > cookie
        && lower_case_branch.get(..cookie).is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// What a request that reached us by two paths has in common with itself (§8.2.2.2); only for requests without a To tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MergeKey {
    from_tag: Box<str>,
    call_id: Box<str>,
    cseq: u32,
    method: Box<str>,
}

impl MergeKey {
    /// From tag, Call-ID and CSeq of a request.
    #[must_use]
    pub fn of(request: &RequestParts<'_>) -> Self {
        Self {
            from_tag: request.from_tag.unwrap_or_default().into(),
            call_id: request.call_id.into(),
            cseq: request.cseq,
            method: request.method.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of an INVITE of this sender, by this branch.
    fn invite<'a>(host: &'a Host, branch: Option<&'a str>) -> RequestParts<'a> {
        RequestParts {
            method: "INVITE",
            uri: b"sip:b@example.com",
            branch,
            sent_by: (host, 5060),
            from_tag: Some("f"),
            to_tag: None,
            call_id: "c@x",
            cseq: 7,
        }
    }

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    #[test]
    fn an_ack_and_a_cancel_find_their_invite() {
        let (upper, lower) = (host("Host.example"), host("host.example"));
        let invited = invite(&upper, Some("z9hG4bKa1"));
        let ack = RequestParts { method: "ACK", ..invite(&lower, Some("Z9hg4bKA1")) };
        let cancel = RequestParts { method: "CANCEL", ..invited };
        assert_eq!(ServerKey::of(&ack), ServerKey::of(&invited));
        assert_eq!(ServerKey::canceled_by(&cancel), ServerKey::of(&invited));
        assert_ne!(ServerKey::of(&cancel), ServerKey::of(&invited));
    }

    #[test]
    fn the_same_branch_from_another_host_is_another_transaction() {
        let (one, other) = (host("host.example"), host("other.example"));
        let invited = invite(&one, Some("z9hG4bKa1"));
        assert_ne!(ServerKey::of(&invite(&other, Some("z9hG4bKa1"))), ServerKey::of(&invited));
        assert_ne!(ServerKey::of(&RequestParts { sent_by: (&one, 5061), ..invited }), ServerKey::of(&invited));
    }

    #[test]
    fn a_2543_peer_is_matched_by_its_call() {
        let host = host("host.example");
        for branch in [None, Some("1"), Some("z9hG4bK")] {
            let invite = invite(&host, branch);
            let ack = RequestParts { method: "ACK", ..invite };
            let next = RequestParts { cseq: 8, ..invite };
            assert_eq!(ServerKey::of(&ack), ServerKey::of(&invite));
            assert_ne!(ServerKey::of(&next), ServerKey::of(&invite));
        }
    }

    #[test]
    fn a_cookie_cut_inside_a_character_is_not_a_cookie() {
        let host = host("host.example");
        assert!(matches!(ServerKey::of(&invite(&host, Some("z9hG4bé…"))), ServerKey::Legacy { .. }));
    }

    #[test]
    fn responses_to_cancel_and_invite_differ_by_method() {
        assert_eq!(ClientKey::new("z9hG4bKX", "INVITE"), ClientKey::new("z9hg4bkx", "INVITE"));
        assert_ne!(ClientKey::new("z9hG4bKX", "INVITE"), ClientKey::new("z9hG4bKX", "CANCEL"));
    }

    #[test]
    fn a_merged_request_is_known_by_tag_call_id_and_cseq() {
        let host = host("host.example");
        let invited = invite(&host, Some("z9hG4bKa1"));
        let twin = RequestParts { branch: Some("z9hG4bKother"), uri: b"sip:c@example.com", ..invited };
        assert_eq!(MergeKey::of(&twin), MergeKey::of(&invited));
        assert_ne!(MergeKey::of(&RequestParts { cseq: 8, ..invited }), MergeKey::of(&invited));
    }
}
