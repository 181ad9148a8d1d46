//! What an endpoint tells: events of sessions and requests, and the ladder of what crossed the wire.

use super::{InDialogId, InboundId, ReferId, ReofferId, RequestId, SessionId};
use crate::auth::AuthFailure;
use crate::header::{NameAddr, Replaces};
use crate::message::Message;
use crate::transport::{Effect, FlowId, LocalId, Transport};
use base::Now;
use std::net::SocketAddr;

/// What [`super::Endpoint::poll`] gives until it has nothing more to say.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, from the queue to its reader: a box would cost more")]
pub enum Output {
    /// For the sockets.
    Effect(Effect),
    /// For the user.
    Event(Event),
    /// Drained. Come back with the next input, or with [`crate::transport::Input::Timeout`] at this monotonic time.
    Timeout(Option<u64>),
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A request outside of sessions, of a method in [`super::Config::handed_up`], fit to be processed. Nothing is kept of
    /// it but the request itself until it is answered: with [`super::Endpoint::answer`], [`super::Endpoint::refuse`] or,
    /// for an INVITE, [`super::Endpoint::admit`]; after [`super::ARRIVAL_TIMEOUT`] it is answered 500.
    Arrived {
        /// Its number.
        request: InboundId,
        /// The request.
        message: Message,
        /// Where it came from.
        source: Source,
    },
    /// A connection that was kept ([`super::Endpoint::keep`]) has ended.
    FlowClosed {
        /// Which.
        flow: FlowId,
    },
    /// A new INVITE, fit to be processed. Answer it with `progress`, `accept` or `reject`.
    Incoming {
        /// The session it opens.
        session: SessionId,
        /// The INVITE.
        request: Message,
        /// Where it came from.
        source: Source,
        /// The session that it asks to take the place of (RFC 3891), found and fit to be replaced. Whether this caller may
        /// is its user's to say, and so is ending the old session once the new one is accepted (§3).
        replaces: Option<SessionId>,
    },
    /// A provisional response to our INVITE; 100 (Trying) only the first time, a reliable one (RFC 3262) once and in
    /// order, its PRACK on its way. To's tag names the early dialog. Where our INVITE had no offer and a reliable one
    /// carries it, its PRACK waits for [`super::Endpoint::prack_answer`].
    Progress {
        /// Which session.
        session: SessionId,
        /// The response.
        response: Message,
    },
    /// The PRACK for a reliable provisional of ours. Its body is the answer, where `progress` carried the offer.
    ProgressAcked {
        /// Which session.
        session: SessionId,
        /// The PRACK.
        prack: Message,
    },
    /// The first 2xx to our INVITE; its ACK is on its way, except where the INVITE had no offer and the 2xx carries it:
    /// then it waits for [`super::Endpoint::acknowledge`]. The 2xx of further forks are acknowledged and ended without a
    /// word.
    Answered {
        /// Which session.
        session: SessionId,
        /// The 2xx.
        response: Message,
    },
    /// Our INVITE ended without an answer: the session's last word.
    Failed {
        /// Which session.
        session: SessionId,
        /// Why.
        failure: Failure,
    },
    /// The ACK for the 2xx that `accept` sent. Its body is the answer, where `accept` carried the offer.
    Confirmed {
        /// Which session.
        session: SessionId,
        /// The ACK.
        ack: Message,
    },
    /// The peer asks to change a session: a re-INVITE, or an UPDATE (RFC 3311) or PRACK (RFC 3262 §5) with an offer, these
    /// two in early dialogs too. Answer it with `respond`; to a re-INVITE without an offer the 2xx carries ours. An UPDATE
    /// without an offer only refreshes, and has been answered.
    Reoffer {
        /// Which session.
        session: SessionId,
        /// The question's number.
        id: ReofferId,
        /// The request.
        request: Message,
    },
    /// The ACK for the 2xx that `respond` sent to a re-INVITE.
    ReofferAck {
        /// Which session.
        session: SessionId,
        /// The question's number.
        id: ReofferId,
        /// The ACK.
        ack: Message,
        /// Its body is the answer to the offer that `respond` carried. Where the re-INVITE had the offer, the 2xx was the
        /// answer, and whatever an ACK carries means nothing (RFC 3261 §13.2.1).
        answers: bool,
    },
    /// The end of our `reoffer` or `update`. On an error the session stands as it was (RFC 3261 §14.1), except that a 408 or 481 is
    /// followed by [`Event::Ended`].
    ReofferDone {
        /// Which session.
        session: SessionId,
        /// The 2xx (its ACK is on its way, or waits for [`super::Endpoint::acknowledge`] where the re-INVITE had no offer
        /// and it carries one), or why there is none.
        result: Result<Message, Failure>,
    },
    /// The peer has answered a re-INVITE by which the endpoint refreshed the session (RFC 4028) with the last description
    /// of ours. The answer may have moved.
    Refreshed {
        /// Which session.
        session: SessionId,
        /// The 2xx.
        response: Message,
    },
    /// INFO, MESSAGE, SUBSCRIBE, or a NOTIFY that no REFER of ours has asked for, inside the session's dialog. Answer it
    /// with `answer_request`, an event package that is not known with 489 (RFC 6665 §4.1.3, §4.2.1.1); after
    /// [`super::REQUEST_TIMEOUT`] it is answered 500. What is known and not done here (REGISTER, PUBLISH) is answered 405,
    /// what is unknown 501, without a word. MESSAGE is not named in Allow: a user may take it nonetheless.
    Request {
        /// Which session.
        session: SessionId,
        /// The request's number.
        id: InDialogId,
        /// The request.
        request: Message,
    },
    /// The end of our `send_request`.
    RequestDone {
        /// Which session.
        session: SessionId,
        /// The request's number.
        id: InDialogId,
        /// The 2xx, or why there is none.
        result: Result<Message, Failure>,
    },
    /// The peer asks us to call someone (RFC 3515). Answer it with `refer_accept` or `refer_reject`; after
    /// [`super::REQUEST_TIMEOUT`] it is answered 500.
    Refer {
        /// Which session.
        session: SessionId,
        /// The REFER's number.
        id: ReferId,
        /// The REFER: Referred-By (RFC 3892) and its like.
        request: Message,
        /// Refer-To. Headers after `?` in its URI are part of the INVITE it asks for.
        refer_to: NameAddr,
        /// The dialog that the INVITE is to take the place of (attended transfer).
        replaces: Option<Replaces>,
    },
    /// What has become of our REFER so far: a NOTIFY of the peer's.
    ReferProgress {
        /// Which session.
        session: SessionId,
        /// The status in its message/sipfrag, or the last one known. 408 with `terminated` where the peer has fallen
        /// silent for longer than [`super::REFER_EXPIRES`].
        status: u16,
        /// True for the last one.
        terminated: bool,
    },
    /// The final response to our REFER. After a 2xx `ReferProgress` follows, unless the 2xx says `Refer-Sub: false` (RFC 4488).
    ReferDone {
        /// Which session.
        session: SessionId,
        /// The 2xx, or why there is none.
        result: Result<Message, Failure>,
    },
    /// The session is over: its last word. A BYE of ours has been answered, or given up.
    Ended {
        /// Which session.
        session: SessionId,
        /// Who ended it.
        by: EndedBy,
        /// The peer's BYE or CANCEL, for its Reason and X- headers.
        request: Option<Message>,
    },
    /// The end of a request outside of sessions.
    Reply {
        /// Which request.
        request: RequestId,
        /// The CSeq number it was last sent with: the next of its kind (REGISTER) wants a higher one.
        cseq: u32,
        /// The final response of any class, or why there is none.
        result: Result<Message, Failure>,
    },
    /// A message on the wire.
    Ladder {
        /// Whose, where that is known.
        session: Option<SessionId>,
        /// What.
        entry: LadderEntry,
    },
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The listener.
    pub local: LocalId,
    /// Its transport.
    pub transport: Transport,
    /// The packet's or connection's own peer address, whatever Via says.
    pub addr: SocketAddr,
    /// The connection, where it is one.
    pub flow: Option<FlowId>,
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The peer: BYE or CANCEL.
    Peer,
    /// We: `hangup` or `reject`.
    Us,
    /// Nobody.
    Lost(Loss),
}

/// How a session was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The ACK for our 2xx never came (RFC 3261 §13.3.1.4).
    NoAck,
    /// The PRACK for our reliable provisional never came (RFC 3262 §3).
    NoPrack,
    /// The peer knows the dialog no more, or is silent: 481, 408 or nothing to a request inside it (§12.2.1.2).
    Gone,
    /// Nobody has refreshed the session in time (RFC 4028 §10).
    Expired,
}

impl Loss {
    /// In words, for a cause.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoAck => "the far end never acknowledged the answer",
            Self::NoPrack => "the far end never acknowledged a provisional response",
            Self::Gone => "the far end knows the call no more",
            Self::Expired => "the far end has let the session timer expire",
        }
    }
}

/// Why a request of ours has no good answer.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A final response of 300 or more.
    Response(Message),
    /// Not even a provisional by `try_timeout`.
    TryTimeout,
    /// No final response by `ring_timeout`; CANCEL was sent.
    NoAnswer,
    /// Nothing for 64·T1 (RFC 3261 §17.1.1.2, treated as a 408, §8.1.3.1).
    Timeout,
    /// The transport failed at every address, in words for a log (treated as a 503, §8.1.3.1).
    Transport(String),
    /// The next hop's name has no address.
    Unresolved,
    /// We hung up: 487 to our CANCEL, an answer that crossed it and was ended at once, or silence.
    Canceled,
    /// A challenge that was not answered, with the response that carried it: no credentials, not for this peer or realm,
    /// or refused twice.
    Auth(AuthFailure, Option<Message>),
}

/// A message on the wire, without a header and without a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderEntry {
    /// When.
    pub at: Now,
    /// True where we sent it.
    pub sent: bool,
    /// Over what.
    pub transport: Transport,
    /// The other end.
    pub peer: SocketAddr,
    /// The start line, control characters escaped.
    pub line: String,
    /// CSeq: `1 INVITE`.
    pub cseq: String,
    /// True where it carries a body.
    pub has_body: bool,
    /// True for the second and later copies.
    pub retransmission: bool,
}

/// What an endpoint holds: all zero once everything has ended and 64·T1 have passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Client and server transactions, and requests of ours that look for their way.
    pub transactions: usize,
    /// Sessions, those that wait for the answer to their BYE included.
    pub sessions: usize,
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Stream connections.
    pub flows: usize,
    /// Timers.
    pub timers: usize,
}
