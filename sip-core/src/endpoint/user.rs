//! What the endpoint's user asks of it. Each call takes the time; drain [`Endpoint::poll`] after it.
//!
//! A call about a session that has said its last word, or that makes no sense in its state, does nothing: the event that
//! explains it is already in the queue.

use super::Endpoint;
use super::authorize::Authorizer;
use super::command::{Body, Headers, Invite, OutOfDialog, Refused, ReofferId, RequestId, SessionId};
use super::compose::Draft;
use super::config::{MAX_FORWARDS, RING_TIMEOUT};
use super::core::Owner;
use super::exchange::{NewExchange, Purpose, Way};
use super::session::{Calling, Path, Session, State};
use super::timer::{SessionTimer, TimerKey};
use crate::header::NameAddr;
use crate::message::{Method, StatusCode};
use base::Now;

/// Letters and digits in a tag of ours: 95 bits (RFC 3261 §19.3 wants 32).
const TAG_LENGTH: usize = 16;
/// Letters and digits in a Call-ID of ours.
const CALL_ID_LENGTH: usize = 24;
/// The CSeq number of the first request of a dialog (RFC 3261 §8.1.1.5: any).
const FIRST_CSEQ: u32 = 1;

impl Endpoint {
    /// Places a call. What becomes of it is told by `Progress`, `Answered` and `Failed`.
    ///
    /// # Errors
    /// [`Refused::Full`] beyond [`super::Config::max_sessions`] or [`super::Config::max_transactions`].
    pub fn invite(&mut self, invite: Invite, now: Now) -> Result<SessionId, Refused> {
        self.core.now = now;
        if self.sessions.len() >= self.core.config.max_sessions || self.is_full() {
            return Err(Refused::Full);
        }
        let id = SessionId(self.core.next_id());
        self.core.authorizers.insert(Owner::Session(id), Authorizer::new(invite.credentials));
        let path = Path {
            flow: None,
            sticky: false,
            local: None,
            transport: invite.next_hop.transport,
            server_name: Some(invite.next_hop.host.clone()),
        };
        let draft = Draft {
            method: Method::Invite,
            uri: invite.uri,
            routes: Vec::new(),
            from: invite.from.with_tag(&self.core.rng.token(TAG_LENGTH)),
            to: without_tag(invite.to),
            call_id: invite.call_id.unwrap_or_else(|| self.core.rng.token(CALL_ID_LENGTH)),
            cseq: FIRST_CSEQ,
            max_forwards: invite.max_forwards,
            contact: Some(invite.contact_user.clone()),
            headers: invite.headers,
            body: invite.body,
        };
        let exchange = self.core.start_exchange(NewExchange {
            purpose: Purpose::Invite(id),
            owner: Some(Owner::Session(id)),
            session: Some(id),
            draft,
            way: Way::to(invite.next_hop),
            try_timeout: invite.try_timeout,
            authorization: None,
        });
        let state = State::Calling(Calling::new(exchange, invite.contact_user));
        self.sessions.insert(id, Session { id, path, state });
        let ring = invite.ring_timeout.unwrap_or(RING_TIMEOUT);
        self.core.start(TimerKey::Session(id, SessionTimer::Ring), ring);
        self.pump();
        Ok(id)
    }

    /// Sends a provisional response to the peer's INVITE; other statuses are not sent.
    pub fn progress(&mut self, session: SessionId, status: StatusCode, headers: Headers, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.progress(core, status, headers, body));
    }

    /// Answers the peer's INVITE with 200, which is repeated until the ACK comes (`Confirmed`), for 64·T1 at most
    /// (`Ended`, [`super::EndedBy::Lost`]).
    pub fn accept(&mut self, session: SessionId, headers: Headers, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.accept(core, headers, body));
    }

    /// Refuses the peer's INVITE with a status from 300 to 699; another one becomes 480.
    pub fn reject(&mut self, session: SessionId, status: StatusCode, headers: Headers, now: Now) {
        self.call(session, now, |session, core| session.reject(core, status, headers));
    }

    /// Ends a session in whatever way its state asks for: CANCEL (deferred until a provisional, §9.1; a 2xx that crosses
    /// it gets ACK and BYE), BYE, BYE once the ACK has come (§15), or 480 to a peer's INVITE. `headers` (Reason, …) go
    /// into that message.
    pub fn hangup(&mut self, session: SessionId, headers: Headers, now: Now) {
        self.call(session, now, |session, core| session.hangup(core, headers));
    }

    /// Answers [`super::Event::Reoffer`] with a final status. A 2xx to a re-INVITE is repeated until its ACK.
    pub fn respond(&mut self, session: SessionId, id: ReofferId, status: StatusCode, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.respond(core, id, status, body));
    }

    /// Sends a re-INVITE; its end is [`super::Event::ReofferDone`]. One that meets the peer's (491) is tried again by
    /// itself, one while another of ours is on fails with [`super::Failure::Canceled`].
    pub fn reoffer(&mut self, session: SessionId, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.reoffer(core, body));
    }

    /// Sends a request outside of sessions; its end is [`super::Event::Reply`].
    ///
    /// # Errors
    /// [`Refused::Full`] beyond [`super::Config::max_transactions`]; [`Refused::Method`] for INVITE, ACK, CANCEL and BYE.
    pub fn request(&mut self, request: OutOfDialog, now: Now) -> Result<RequestId, Refused> {
        self.core.now = now;
        if matches!(request.method, Method::Invite | Method::Ack | Method::Cancel | Method::Bye) {
            return Err(Refused::Method);
        }
        if self.is_full() {
            return Err(Refused::Full);
        }
        let id = RequestId(self.core.next_id());
        self.core.authorizers.insert(Owner::Request(id), Authorizer::new(request.credentials));
        let tag = request.from.tag().map_or_else(|| self.core.rng.token(TAG_LENGTH), str::to_owned);
        // §10.2: what is registered is where the address-of-record in To is to be reached.
        let party = if request.method == Method::Register { &request.to } else { &request.from };
        let draft = Draft {
            contact: Some(party.uri.user_unescaped().map(std::borrow::Cow::into_owned)),
            method: request.method,
            uri: request.uri,
            routes: Vec::new(),
            from: request.from.with_tag(&tag),
            to: without_tag(request.to),
            call_id: request.call_id.unwrap_or_else(|| self.core.rng.token(CALL_ID_LENGTH)),
            cseq: request.cseq.unwrap_or(FIRST_CSEQ),
            max_forwards: MAX_FORWARDS,
            headers: request.headers,
            body: request.body,
        };
        self.core.start_exchange(NewExchange {
            purpose: Purpose::Outside(id),
            owner: Some(Owner::Request(id)),
            session: None,
            draft,
            way: Way::to(request.next_hop),
            try_timeout: None,
            authorization: None,
        });
        self.pump();
        Ok(id)
    }

    /// False: draining. New INVITE, OPTIONS and REGISTER get 503 with Retry-After; what stands goes on.
    pub const fn set_accepting(&mut self, accepting: bool) {
        self.accepting = accepting;
    }

    fn is_full(&self) -> bool {
        let most = self.core.config.max_transactions;
        self.transactions() >= most || self.core.exchanges.len() >= most
    }

    fn call(
        &mut self,
        session: SessionId,
        now: Now,
        f: impl FnOnce(Session, &mut super::core::Core) -> Option<Session>,
    ) {
        self.core.now = now;
        self.with_session(session, f);
        self.pump();
    }
}

/// §8.1.1.2: outside of a dialog To has no tag.
fn without_tag(mut to: NameAddr) -> NameAddr {
    to.params.remove("tag");
    to
}
