//! What happens to a session, by whom it comes: its clock, its user, its peer. Each entry hands it to the state it is in,
//! or to what goes on beside it; what makes no sense there changes nothing.

use super::super::answer;
use super::super::command::{Body, Headers};
use super::super::compose::{ALLOW, Answer};
use super::super::core::{Core, Target};
use super::super::event::{EndedBy, Failure};
use super::super::exchange::Inside;
use super::super::timer::SessionTimer;
use super::super::transactions::{ClientId, ServerId};
use super::refer::is_about_refer;
use super::{Session, State};
use crate::dialog::DialogId;
use crate::message::{Message, Method, StatusCode};

impl Session {
    /// Something for the session's own clock.
    pub(in super::super) fn on_timer(self, core: &mut Core, timer: SessionTimer) -> Option<Self> {
        match timer {
            SessionTimer::Reoffer => self.reoffer_unanswered(core),
            SessionTimer::Glare => self.glare_over(core),
            SessionTimer::LateAnswer => self.late_answer_missing(core),
            SessionTimer::Renew => self.renew(core),
            SessionTimer::Expire => self.expired(core),
            SessionTimer::Referral => self.referral_expired(core),
            SessionTimer::Request(id) => self.request_unanswered(core, id),
            SessionTimer::Refer(id) => self.refer_timed_out(core, id),
            timer => self.on_state_timer(core, timer),
        }
    }

    fn on_state_timer(self, core: &mut Core, timer: SessionTimer) -> Option<Self> {
        if self.is_confirmed() {
            return match timer {
                SessionTimer::Repeat2xx => self.repeat_2xx(core),
                SessionTimer::AckWait => self.ack_missing(core),
                SessionTimer::Ring => self.reinvite_unanswered(core),
                _ => Some(self),
            };
        }
        let (at, state) = self.parts();
        match state {
            State::Calling(state) => state.on_timer(at, core, timer),
            State::Offered(state) => state.on_timer(at, core, timer),
            State::Accepted(state) => state.on_timer(at, core, timer),
            state @ (State::Confirmed(_) | State::Leaving(_)) => Some(at.session(state)),
        }
    }

    /// Our user hangs up: what the state asks for.
    pub(in super::super) fn hangup(self, core: &mut Core, headers: Headers) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Calling(state) => state.cancel(at, core, headers),
            State::Offered(state) => state.reject(at, core, StatusCode::TEMPORARILY_UNAVAILABLE, headers),
            State::Accepted(state) => state.hangup(at, headers),
            State::Confirmed(state) => state.hangup(at, core, headers),
            State::Leaving(state) => Some(at.session(State::Leaving(state))),
        }
    }

    pub(in super::super) fn progress(
        self,
        core: &mut Core,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
    ) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Offered(state) => state.progress(at, core, status, headers, body),
            other => Some(at.session(other)),
        }
    }

    pub(in super::super) fn accept(self, core: &mut Core, headers: Headers, body: Option<Body>) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Offered(state) => state.accept(at, core, headers, body),
            other => Some(at.session(other)),
        }
    }

    pub(in super::super) fn reject(self, core: &mut Core, status: StatusCode, headers: Headers) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Offered(state) => state.reject(at, core, status, headers),
            other => Some(at.session(other)),
        }
    }

    /// A provisional response to our INVITE.
    pub(in super::super) fn on_progress(self, core: &mut Core, client: ClientId, message: Message) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Calling(state) => state.on_progress(at, core, client, message),
            other => Some(at.session(other)),
        }
    }

    /// The first 2xx to our INVITE.
    pub(in super::super) fn on_success(self, core: &mut Core, client: ClientId, message: Message) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Calling(state) => state.on_success(at, core, client, message),
            other => Some(at.session(other)),
        }
    }

    /// Our INVITE ended otherwise.
    pub(in super::super) fn on_failure(self, core: &mut Core, failure: Failure) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Calling(state) => state.on_failure(at, core, failure),
            other => Some(at.session(other)),
        }
    }

    /// The end of a request of ours inside the dialog.
    pub(in super::super) fn on_inside_done(
        mut self,
        core: &mut Core,
        what: Inside,
        cseq: u32,
        result: Result<Message, Failure>,
    ) -> Option<Self> {
        match what {
            Inside::Update(number) => self.on_update_done(core, number, result),
            Inside::Request(id) => self.on_request_done(core, id, result),
            Inside::Refer => self.on_refer_done(core, cseq, result),
            Inside::Notify(id) => self.on_notify_done(core, id, result.is_ok()),
            Inside::Prack(rseq) => {
                if let State::Calling(state) = &mut self.state {
                    state.on_prack_done(rseq, &result);
                }
                Some(self)
            }
        }
    }

    pub(in super::super) fn on_bye_done(self, core: &mut Core) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Leaving(state) => state.on_done(at, core),
            other => Some(at.session(other)),
        }
    }

    /// The next CSeq number of the dialog of this name.
    pub(in super::super) fn next_cseq(&mut self, id: &DialogId) -> Option<u32> {
        self.state.dialog(id).map(crate::dialog::Dialog::next_cseq)
    }

    /// An ACK in one of the session's dialogs.
    pub(in super::super) fn on_ack(self, core: &mut Core, ack: Message) -> Option<Self> {
        if self.is_confirmed() {
            return self.on_reinvite_ack(core, ack);
        }
        let (at, state) = self.parts();
        match state {
            State::Accepted(state) => state.on_ack(at, core, ack),
            other => Some(at.session(other)),
        }
    }

    /// A request in one of the session's dialogs, with its transaction. It gets an answer here, or an event that asks for
    /// one.
    pub(in super::super) fn on_request(mut self, core: &mut Core, server: ServerId) -> Option<Self> {
        let Some(tx) = core.servers.table.get(&server) else { return Some(self) };
        let (Some(request), target) = (tx.request.clone(), tx.target) else { return Some(self) };
        let (Ok(cseq), Ok(Some(id))) = (request.cseq(), DialogId::of_request(&request)) else { return Some(self) };
        if let Some(dialog) = self.state.dialog(&id) {
            if dialog.receive(cseq.seq).is_err() {
                // §12.2.2: out of order, or the same number by another way.
                core.reply(server, Answer::new(StatusCode::SERVER_INTERNAL_ERROR));
                return Some(self);
            }
            if let Target::Stream(flow) = target {
                core.move_dialog(dialog, flow);
                self.at.path.flow = Some(flow);
            }
        }
        match cseq.method.clone() {
            Method::Bye => self.on_bye(core, server, request),
            _ if matches!(self.state, State::Leaving(_)) => {
                core.reply(server, Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
                Some(self)
            }
            method => self.on_method(core, server, method, request),
        }
    }

    fn on_method(self, core: &mut Core, server: ServerId, method: Method, request: Message) -> Option<Self> {
        match method {
            Method::Invite | Method::Update => self.on_reoffer(core, server, request),
            Method::Prack => self.on_prack(core, server, request),
            Method::Refer => self.on_refer(core, server, request),
            Method::Notify if is_about_refer(&request) => self.on_refer_notify(core, server, &request),
            Method::Subscribe if is_about_refer(&request) => self.on_refer_subscribe(core, server, &request),
            Method::Info | Method::Message | Method::Notify | Method::Subscribe => self.ask(core, server, request),
            Method::Options => {
                core.reply(server, answer::options(&core.config, ALLOW));
                Some(self)
            }
            method => {
                core.reply(server, answer::refused_method(&method, ALLOW));
                Some(self)
            }
        }
    }

    /// CANCEL for this INVITE or re-INVITE of the peer's (§9.2); after a final response it changes nothing.
    pub(in super::super) fn on_cancel(self, core: &mut Core, server: ServerId, cancel: Message) -> Option<Self> {
        if self.is_confirmed() {
            return self.on_cancel_reinvite(core, server);
        }
        let (at, state) = self.parts();
        match state {
            State::Offered(state) if state.server == server => state.on_cancel(at, core, cancel),
            other => Some(at.session(other)),
        }
    }

    fn on_bye(self, core: &mut Core, server: ServerId, request: Message) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            // Only the caller may end an early dialog (§15).
            State::Calling(state) => {
                core.reply(server, Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
                Some(at.session(State::Calling(state)))
            }
            State::Offered(state) => {
                core.reply(server, Answer::new(StatusCode::OK));
                state.on_cancel(at, core, request)
            }
            State::Accepted(state) => {
                core.reply(server, Answer::new(StatusCode::OK));
                at.end(core, [state.into_dialog()], EndedBy::Peer, Some(request))
            }
            State::Confirmed(state) => {
                core.reply(server, Answer::new(StatusCode::OK));
                state.on_bye(at, core, request)
            }
            // Our BYE has crossed theirs; ours is still waiting for its answer.
            State::Leaving(state) => {
                core.reply(server, Answer::new(StatusCode::OK));
                Some(at.session(State::Leaving(state)))
            }
        }
    }
}
