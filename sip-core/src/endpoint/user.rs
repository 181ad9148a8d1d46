//! What the endpoint's user asks of it. Each call takes the time; drain [`Endpoint::poll`] after it.
//!
//! A call about a session that has said its last word, or that makes no sense in its state, does nothing: the event that
//! explains it is already in the queue.

use super::Endpoint;
use super::authorize::Authorizer;
use super::command::{
    Body, Headers, InDialogId, Invite, OutOfDialog, ReferId, Refused, ReofferId, RequestId, SessionId,
};
use super::compose::{Draft, users};
use super::config::{MAX_FORWARDS, RING_TIMEOUT};
use super::core::Owner;
use super::exchange::{NewExchange, Purpose, Way};
use super::session::{Calling, Path, Session, State, invite_headers};
use super::timer::SessionTimer;
use crate::dialog::DialogId;
use crate::header::{NameAddr, Replaces};
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
            device: None,
            transport: invite.next_hop.transport,
            server_name: Some(invite.next_hop.host.clone()),
        };
        let draft = Draft {
            method: Method::Invite,
            uri: invite.uri,
            routes: invite.routes,
            from: invite.from.with_tag(&self.core.rng.token(TAG_LENGTH)),
            to: without_tag(invite.to),
            call_id: invite.call_id.unwrap_or_else(|| self.core.rng.token(CALL_ID_LENGTH)),
            cseq: FIRST_CSEQ,
            max_forwards: invite.max_forwards,
            contact: Some(invite.contact_user.clone()),
            headers: invite_headers(&self.core.config).into_iter().chain(users(invite.headers)).collect(),
        };
        let exchange = self.core.start_exchange(NewExchange {
            purpose: Purpose::Invite(id),
            owner: Some(Owner::Session(id)),
            session: Some(id),
            draft,
            body: invite.body.clone(),
            way: Way::to(invite.next_hop),
            try_timeout: invite.try_timeout,
            authorization: None,
        });
        let state = State::Calling(Calling::new(exchange, invite.contact_user, invite.body));
        let ring = invite.ring_timeout.unwrap_or(RING_TIMEOUT);
        let session = Session::new(id, path, state).within(&mut self.core, SessionTimer::Ring, ring);
        self.sessions.insert(id, session);
        self.pump();
        Ok(id)
    }

    /// Sends a provisional response to the peer's INVITE; other statuses are not sent. Reliably (RFC 3262) where
    /// [`super::Config::reliable_provisionals`] and the caller say so: then it is repeated until its PRACK
    /// (`ProgressAcked`), those after it wait, and without one in 64·T1 the INVITE is refused with 504 (`Ended`,
    /// [`super::Loss::NoPrack`]). A description in it is then the answer, or the offer where the INVITE had none.
    pub fn progress(&mut self, session: SessionId, status: StatusCode, headers: Headers, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.progress(core, status, users(headers), body));
    }

    /// Answers the peer's INVITE with 200, which is repeated until the ACK comes (`Confirmed`), for 64·T1 at most
    /// (`Ended`, [`super::EndedBy::Lost`]). It waits for the PRACK of a description sent reliably (RFC 3262 §3), and does
    /// not repeat that description.
    pub fn accept(&mut self, session: SessionId, headers: Headers, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.accept(core, users(headers), body));
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
        self.call(session, now, |session, core| session.respond(core, id, status, Vec::new(), body));
    }

    /// Refuses [`super::Event::Reoffer`] with a status from 300 to 699 (another one becomes 488) and what it says besides:
    /// Warning, Retry-After.
    pub fn decline(&mut self, session: SessionId, id: ReofferId, status: StatusCode, headers: Headers, now: Now) {
        let status = if status.class() >= 3 { status } else { StatusCode::NOT_ACCEPTABLE_HERE };
        self.call(session, now, |session, core| session.respond(core, id, status, users(headers), None));
    }

    /// Sends a re-INVITE; its end is [`super::Event::ReofferDone`]. One that meets the peer's (491) is tried again by
    /// itself, one while another that was asked for is on fails with [`super::Failure::Canceled`].
    pub fn reoffer(&mut self, session: SessionId, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.reoffer(core, body));
    }

    /// Sends an UPDATE (RFC 3311), in early dialogs too where the first offer has its answer by a reliable provisional; its
    /// end is [`super::Event::ReofferDone`]. Where the peer does not allow UPDATE it is a re-INVITE, or in an early dialog
    /// fails with [`super::Failure::Canceled`]. Glare is as with `reoffer`.
    pub fn update(&mut self, session: SessionId, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.update(core, body));
    }

    /// Answers an offer that came in the 2xx to an INVITE or re-INVITE of ours without one, by the ACK. Without it the call
    /// ends after [`super::LATE_ANSWER_TIMEOUT`].
    pub fn acknowledge(&mut self, session: SessionId, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.acknowledge(core, body));
    }

    /// Answers an offer that came in a reliable provisional to an INVITE of ours without one, by the PRACK. Without it the
    /// INVITE is cancelled after [`super::LATE_ANSWER_TIMEOUT`].
    pub fn prack_answer(&mut self, session: SessionId, body: Option<Body>, now: Now) {
        self.call(session, now, |session, core| session.prack_answer(core, body));
    }

    /// Answers [`super::Event::Request`] with a final status; another one is not sent.
    pub fn answer_request(
        &mut self,
        session: SessionId,
        id: InDialogId,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
        now: Now,
    ) {
        self.call(session, now, |session, core| session.answer_request(core, id, status, headers, body));
    }

    /// Sends INFO, MESSAGE, NOTIFY, SUBSCRIBE or OPTIONS inside a session's dialog, an early one too (of several forks that
    /// which spoke last); its end is [`super::Event::RequestDone`].
    ///
    /// # Errors
    /// [`Refused::Method`] for other methods, [`Refused::State`] without a dialog, [`Refused::Full`] beyond
    /// [`super::MAX_OPEN_REQUESTS`].
    pub fn send_request(
        &mut self,
        session: SessionId,
        method: Method,
        headers: Headers,
        body: Option<Body>,
        now: Now,
    ) -> Result<InDialogId, Refused> {
        self.ask(session, now, |session, core| session.send_request(core, method, users(headers), body))
    }

    /// Sends REFER (RFC 3515): the peer is to call `refer_to`, whose URI may carry headers of that INVITE (Replaces). Its
    /// end is [`super::Event::ReferDone`], what becomes of it [`super::Event::ReferProgress`]. `headers` are Referred-By
    /// and its like; `Refer-Sub: false` asks for no progress (RFC 4488).
    ///
    /// # Errors
    /// [`Refused::State`] where the session is not confirmed, or another REFER of ours is on.
    pub fn refer(
        &mut self,
        session: SessionId,
        refer_to: &NameAddr,
        headers: Headers,
        now: Now,
    ) -> Result<(), Refused> {
        self.ask(session, now, |session, core| session.refer(core, refer_to, users(headers)))
    }

    /// Answers [`super::Event::Refer`] with 202 and a NOTIFY that says 100; `refer_notify` says the rest.
    pub fn refer_accept(&mut self, session: SessionId, id: ReferId, now: Now) {
        self.call(session, now, |session, core| session.refer_accept(core, id));
    }

    /// Answers [`super::Event::Refer`] with a final refusal; another status becomes 603.
    pub fn refer_reject(&mut self, session: SessionId, id: ReferId, status: StatusCode, now: Now) {
        self.call(session, now, |session, core| session.refer_reject(core, id, status));
    }

    /// Tells the sender of a REFER what becomes of it: the status that the call it asked for has got (RFC 3515 §2.4.5).
    /// Each waits for the one before it to be heard; of those that wait only the newest is told. Nothing follows
    /// `terminated`, and nothing is told where the REFER asked for silence or its sender has left.
    pub fn refer_notify(
        &mut self,
        session: SessionId,
        id: ReferId,
        status: StatusCode,
        reason: &str,
        terminated: bool,
        now: Now,
    ) {
        self.call(session, now, |session, core| session.refer_notify(core, id, status, reason, terminated));
    }

    /// The value of a Replaces header (RFC 3891) by which an INVITE to this session's peer takes the session's place;
    /// nothing where it has no dialog that the peer would let be replaced.
    #[must_use]
    pub fn replaces_header(&self, session: SessionId) -> Option<String> {
        self.sessions.get(session)?.replaces().map(|replaces| replaces.to_string())
    }

    /// The session whose dialog this is, as its peer names it; nothing where there is none, or it may not be replaced now.
    #[must_use]
    pub fn session_of(&self, replaces: &Replaces) -> Option<SessionId> {
        let id = DialogId {
            call_id: replaces.call_id.as_str().into(),
            local_tag: replaces.to_tag.as_str().into(),
            remote_tag: replaces.from_tag.as_str().into(),
        };
        self.core.dialogs.get(&id).map(|(session, _)| *session)
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
            // RFC 3428 §4: a MESSAGE has none.
            contact: (request.method != Method::Message)
                .then(|| party.uri.user_unescaped().map(std::borrow::Cow::into_owned)),
            method: request.method,
            uri: request.uri,
            routes: Vec::new(),
            from: request.from.with_tag(&tag),
            to: without_tag(request.to),
            call_id: request.call_id.unwrap_or_else(|| self.core.rng.token(CALL_ID_LENGTH)),
            cseq: request.cseq.unwrap_or(FIRST_CSEQ),
            max_forwards: MAX_FORWARDS,
            headers: request.headers,
        };
        self.core.start_exchange(NewExchange {
            purpose: Purpose::Outside(id),
            owner: Some(Owner::Request(id)),
            session: None,
            draft,
            body: request.body,
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

    /// True: what waits to be taken in is more than can be done in good time. New INVITE, OPTIONS and REGISTER get 503 with
    /// Retry-After, without state; requests inside dialogs go on as ever (FAULTS 20).
    pub const fn set_overloaded(&mut self, overloaded: bool) {
        self.overloaded = overloaded;
    }

    /// Somebody is registered at this customer's ([`super::customer_of`]), or nobody any more: its requests are not counted
    /// among the strangers'.
    pub fn acquaint(&mut self, customer: std::net::IpAddr, is_guest: bool) {
        self.gate.acquaint(customer, is_guest);
    }

    /// Other names that are us from now on ([`super::Config::domains`]).
    pub fn set_domains(&mut self, domains: Vec<String>) {
        self.core.config.domains = domains;
    }

    /// Other networks (address, prefix length) from now on that are not counted at the gate: the carriers'.
    pub fn set_known(&mut self, known: Vec<(std::net::IpAddr, u8)>) {
        self.gate.set_known(known);
    }

    /// Requests that were dropped because their source, or all strangers together, made too many.
    #[must_use]
    pub const fn turned_away(&self) -> u64 {
        self.gate.turned_away
    }

    fn is_full(&self) -> bool {
        let most = self.core.config.max_transactions;
        self.transactions() >= most || self.core.exchanges.len() >= most
    }

    fn ask<T>(
        &mut self,
        session: SessionId,
        now: Now,
        f: impl FnOnce(&mut Session, &mut super::core::Core) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        self.core.now = now;
        let session = self.sessions.get_mut(session).ok_or(Refused::State)?;
        let result = f(session, &mut self.core);
        self.pump();
        result
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
