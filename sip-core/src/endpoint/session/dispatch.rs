//! What happens to a session, by whom it comes: its clock, its user, its peer. Each entry hands it to the state it is in;
//! what makes no sense there changes nothing.

use super::super::ReofferId;
use super::super::answer;
use super::super::command::{Body, Headers};
use super::super::compose::Answer;
use super::super::core::{Core, Target};
use super::super::event::{EndedBy, Event, Failure};
use super::super::timer::SessionTimer;
use super::super::transactions::{ClientId, ServerId};
use super::{Session, State};
use crate::message::{Message, Method, Name, StatusCode};

impl Session {
    /// Something for the session's own clock.
    pub(in super::super) fn on_timer(self, core: &mut Core, timer: SessionTimer) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Calling(state) => state.on_timer(at, core, timer),
            State::Offered(state) => state.on_timer(at, core, timer),
            State::Accepted(state) => state.on_timer(at, core, timer),
            State::Confirmed(state) => state.on_timer(at, core, timer),
            State::Leaving(state) => Some(at.session(State::Leaving(state))),
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

    pub(in super::super) fn respond(
        self,
        core: &mut Core,
        reoffer: ReofferId,
        status: StatusCode,
        body: Option<Body>,
    ) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Confirmed(state) => state.respond(at, core, reoffer, status, body),
            other => Some(at.session(other)),
        }
    }

    pub(in super::super) fn reoffer(self, core: &mut Core, body: Option<Body>) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Confirmed(state) => state.reoffer(at, core, body),
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

    pub(in super::super) fn on_reinvite_done(
        self,
        core: &mut Core,
        client: Option<ClientId>,
        result: Result<Message, Failure>,
    ) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Confirmed(state) => state.on_reinvite_done(at, core, client, result),
            other => Some(at.session(other)),
        }
    }

    pub(in super::super) fn on_bye_done(self, core: &mut Core) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Leaving(state) => state.on_done(at, core),
            other => Some(at.session(other)),
        }
    }

    /// The dialog's next CSeq number, where there is one dialog.
    pub(in super::super) fn next_cseq(&mut self) -> Option<u32> {
        match &mut self.state {
            State::Calling(_) => None,
            State::Offered(state) => Some(state.dialog.next_cseq()),
            State::Accepted(state) => Some(state.dialog.next_cseq()),
            State::Confirmed(state) => Some(state.dialog.next_cseq()),
            State::Leaving(state) => Some(state.dialog.next_cseq()),
        }
    }

    /// An ACK in one of the session's dialogs.
    pub(in super::super) fn on_ack(self, core: &mut Core, ack: Message) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Accepted(state) => state.on_ack(at, core, ack),
            State::Confirmed(state) => state.on_ack(at, core, &ack),
            other => Some(at.session(other)),
        }
    }

    /// A request in one of the session's dialogs, with its transaction. It gets an answer here, or a [`Event::Reoffer`].
    pub(in super::super) fn on_request(mut self, core: &mut Core, server: ServerId) -> Option<Self> {
        let Some(tx) = core.servers.table.get(&server) else { return Some(self) };
        let (request, target) = (tx.request.clone(), tx.target);
        let Ok(cseq) = request.cseq() else { return Some(self) };
        if let Some(dialog) = self.state.dialog_mut(&request) {
            if dialog.receive(cseq.seq).is_err() {
                // §12.2.2: out of order, or the same number by another way.
                core.reply(server, Answer::new(StatusCode::SERVER_INTERNAL_ERROR));
                return Some(self);
            }
            if let Target::Stream(flow) = target {
                core.move_dialog(dialog, flow);
                self.path.flow = Some(flow);
            }
        }
        match cseq.method {
            Method::Bye => self.on_bye(core, server, request),
            Method::Invite | Method::Update => self.on_reoffer(core, server, request),
            Method::Options => {
                core.reply(server, answer::options());
                Some(self)
            }
            _ => {
                core.reply(server, answer::refused_method(&cseq.method));
                core.event(Event::Request { session: self.id, request });
                Some(self)
            }
        }
    }

    /// CANCEL for this INVITE or re-INVITE of the peer's (§9.2); after a final response it changes nothing.
    pub(in super::super) fn on_cancel(self, core: &mut Core, server: ServerId, cancel: Message) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Offered(state) if state.server == server => state.on_cancel(at, core, cancel),
            State::Confirmed(state) => state.on_cancel(at, core, server),
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

    fn on_reoffer(self, core: &mut Core, server: ServerId, request: Message) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Confirmed(state) => state.on_reoffer(at, core, server, request),
            State::Leaving(state) => {
                core.reply(server, Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
                Some(at.session(State::Leaving(state)))
            }
            // The first offer and answer are not over (RFC 3261 §14.2, RFC 3311 §5.2).
            other => {
                let status = match &other {
                    State::Accepted(_) => StatusCode::REQUEST_PENDING,
                    _ => StatusCode::SERVER_INTERNAL_ERROR,
                };
                let wait = core.rng.below(10).to_string();
                core.reply(server, Answer::new(status).header(Name::RetryAfter, wait));
                Some(at.session(other))
            }
        }
    }
}
