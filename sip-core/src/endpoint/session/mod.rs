//! INVITE sessions (RFC 3261 §13, §14, §15): one value each, its state an enum of structs.
//!
//! A session is taken out of the table, consumed by what happened and put back, or not: [`Session::on_bye`] and its like
//! return what is left of it. So no state outlives its session, and each session says exactly one last word.
//!
//! What goes on beside the INVITE is not part of the state, and stands in [`At`]: offers under way, requests handed up,
//! REFERs, the session timer. It outlives a change of state, and ends with the session ([`At::close`]).

mod accepted;
mod calling;
mod confirmed;
mod dispatch;
mod early;
mod expiry;
mod in_dialog;
mod late;
mod leaving;
mod offered;
mod offers;
mod peer;
mod prack;
mod refer;
mod referred;
mod reliable;
mod reoffer;
mod reoffered;
mod replaced;
mod requests;
mod table;

pub(super) use calling::Calling;
pub(super) use expiry::{invite_headers, too_small};
pub(super) use in_dialog::Path;
pub(super) use offered::Offered;
pub(super) use refer::is_about_refer;
pub(super) use table::Sessions;

use super::SessionId;
use super::command::{Body, Headers};
use super::compose::Answer;
use super::core::{Core, Owner};
use super::event::{EndedBy, Event, Loss};
use super::exchange::{ExchangeId, Purpose};
use super::timer::{SessionTimer, TimerKey};
use crate::dialog::{Dialog, DialogId};
use crate::header::RAck;
use crate::message::{Message, Method, Name, StatusCode};
use accepted::Accepted;
use confirmed::Confirmed;
use expiry::Expiry;
use in_dialog::InDialog;
use late::LateAck;
use leaving::{Last, Leaving};
use offers::Offers;
use peer::Peer;
use refer::Referral;
use referred::Referred;
use requests::Requests;
use std::cell::Cell;
use std::time::Duration;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Session {
    at: At,
    state: State,
}

/// Where it stands.
#[derive(Debug)]
pub(super) enum State {
    /// Our INVITE has no final response yet.
    Calling(Calling),
    /// The peer's INVITE has no final response yet.
    Offered(Offered),
    /// We sent a 2xx, its ACK has not come.
    Accepted(Accepted),
    /// Both sides know.
    Confirmed(Confirmed),
    /// Our BYE has no final response yet.
    Leaving(Leaving),
}

impl Session {
    /// A session at its first message.
    pub(super) fn new(id: SessionId, path: Path, state: State) -> Self {
        let at = At {
            id,
            path,
            peer: Peer::default(),
            described: None,
            offers: Offers::default(),
            requests: Requests::default(),
            referral: None,
            referred: Referred::default(),
            expiry: Expiry::default(),
            late_ack: None,
            unacknowledged: None,
            started: Cell::new(0),
        };
        Self { at, state }
    }

    /// One whose user has `after` to answer, or to be answered.
    pub(super) fn within(self, core: &mut Core, timer: SessionTimer, after: Duration) -> Self {
        self.at.start(core, timer, after);
        self
    }

    /// A session that a message of the peer's has opened.
    pub(super) fn heard(mut self, message: &Message) -> Self {
        self.at.peer.learn(message);
        self
    }

    /// What it is besides its state, and its state.
    fn parts(self) -> (At, State) {
        (self.at, self.state)
    }

    /// True once both sides know, until one leaves.
    pub(super) const fn is_confirmed(&self) -> bool {
        matches!(self.state, State::Confirmed(_))
    }

    /// It stands no more, and nobody has said so: BYE, for what is left of it. An INVITE that is still open ends by itself.
    fn lost(self, core: &mut Core, headers: Headers, why: Loss) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Confirmed(state) => at.leave(core, state.dialog, headers, Last::Ended(EndedBy::Lost(why))),
            state => Some(at.session(state)),
        }
    }
}

impl State {
    /// The dialog of this name.
    fn dialog(&mut self, id: &DialogId) -> Option<&mut Dialog> {
        match self {
            Self::Calling(state) => return state.early(id).map(|early| &mut early.dialog),
            Self::Offered(state) => Some(&mut state.dialog),
            Self::Accepted(state) => Some(&mut state.dialog),
            Self::Confirmed(state) => Some(&mut state.dialog),
            Self::Leaving(state) => Some(&mut state.dialog),
        }
        .filter(|dialog| dialog.id() == id)
    }

    /// The dialog that a request of ours is sent in now: of several forks the one that spoke last.
    fn current(&mut self) -> Option<&mut Dialog> {
        match self {
            Self::Calling(state) => state.current().map(|early| &mut early.dialog),
            Self::Offered(state) => state.told.then_some(&mut state.dialog),
            Self::Accepted(state) => Some(&mut state.dialog),
            Self::Confirmed(state) => Some(&mut state.dialog),
            Self::Leaving(_) => None,
        }
    }

    /// The user part of our Contact.
    fn user(&self) -> Option<&str> {
        match self {
            Self::Calling(state) => state.user.as_deref(),
            Self::Offered(state) => state.user.as_deref(),
            Self::Accepted(state) => state.user.as_deref(),
            Self::Confirmed(state) => state.user.as_deref(),
            Self::Leaving(_) => None,
        }
    }
}

/// Who has offered and waits for an answer (RFC 3264 §4; RFC 6337 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// Nobody has offered yet.
    Nothing,
    /// Our offer has no answer.
    Ours,
    /// Their offer has no answer.
    Theirs,
    /// The last offer has its answer.
    Agreed,
}

/// What a session is besides its state.
#[derive(Debug)]
struct At {
    id: SessionId,
    path: Path,
    /// What the peer has said it can do.
    peer: Peer,
    /// Our last description that the peer has: what a refreshing re-INVITE repeats (RFC 4028 §7.4).
    described: Option<Body>,
    offers: Offers,
    requests: Requests,
    referral: Option<Referral>,
    referred: Referred,
    expiry: Expiry,
    late_ack: Option<LateAck>,
    /// The reliable provisional whose PRACK had not come when the 2xx was sent: it may still (RFC 3262 §3).
    unacknowledged: Option<RAck>,
    /// Which of [`SessionTimer::ALL`] were ever started, by their places there: no other needs to be looked for, and a session
    /// ends by stopping all.
    started: Cell<u16>,
}

impl At {
    fn session(self, state: State) -> Session {
        Session { at: self, state }
    }

    fn start(&self, core: &mut Core, timer: SessionTimer, after: Duration) {
        self.started.set(self.started.get() | timer.bit());
        core.start(TimerKey::Session(self.id, timer), after);
    }

    fn stop(&self, core: &mut Core, timer: SessionTimer) {
        let bit = timer.bit();
        if bit == 0 || self.started.get() & bit != 0 {
            self.started.set(self.started.get() & !bit);
            core.timers.stop(TimerKey::Session(self.id, timer));
        }
    }

    /// The end, with `Ended` as its word.
    fn end(
        self,
        core: &mut Core,
        dialogs: impl IntoIterator<Item = Dialog>,
        by: EndedBy,
        request: Option<Message>,
    ) -> Option<Session> {
        let last = Event::Ended { session: self.id, by, request };
        self.end_with(core, dialogs, last)
    }

    /// The end: nothing of it stays but this last word.
    fn end_with(mut self, core: &mut Core, dialogs: impl IntoIterator<Item = Dialog>, last: Event) -> Option<Session> {
        self.close(core);
        for dialog in dialogs {
            core.unregister_dialog(&dialog);
        }
        core.authorizers.remove(&Owner::Session(self.id));
        core.event(last);
        None
    }

    /// Sends BYE; `last` is said when it has been answered or given up.
    fn leave(mut self, core: &mut Core, mut dialog: Dialog, headers: Headers, last: Last) -> Option<Session> {
        self.acknowledge_late(core, &dialog, None);
        self.close(core);
        self.send_in_dialog(
            core,
            &mut dialog,
            Purpose::Bye(self.id),
            InDialog { headers, ..InDialog::new(Method::Bye) },
        );
        Some(self.session(State::Leaving(Leaving { dialog, last })))
    }

    /// Nothing more of what goes on beside the INVITE: no timer runs, what the peer has asked and not heard about gets
    /// 487 (RFC 3261 §15.1.2), a re-INVITE of ours is cancelled.
    fn close(&mut self, core: &mut Core) {
        for timer in SessionTimer::ALL {
            self.stop(core, timer);
        }
        self.offers.close(core);
        self.requests.close(core, self.id);
        self.referred.close(core, self.id);
        self.referral = None;
    }

    /// Sends a request inside a dialog, with the dialog's next CSeq.
    fn send_in_dialog(&self, core: &mut Core, dialog: &mut Dialog, purpose: Purpose, request: InDialog) -> ExchangeId {
        let cseq = dialog.next_cseq();
        let owner = Some(Owner::Session(self.id));
        core.send_in_dialog((Some(self.id), owner), dialog, &self.path, cseq, purpose, request)
    }
}

/// Why a BYE is ours and not our user's (RFC 3326).
fn reason(cause: u16, text: &str) -> (String, String) {
    (Name::Reason.as_str().to_owned(), format!("SIP;cause={cause};text=\"{text}\""))
}

/// "Not now, ask again": 500 with a Retry-After of up to ten seconds (RFC 3261 §14.2, RFC 3311 §5.2).
fn not_now(core: &mut Core, status: StatusCode) -> Answer {
    let wait = core.rng.below(10).to_string();
    Answer::new(status).header(Name::RetryAfter, wait)
}
