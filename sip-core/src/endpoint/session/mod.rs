//! INVITE sessions (RFC 3261 §13, §14, §15): one value each, its state an enum of structs.
//!
//! A session is taken out of the table, consumed by what happened and put back, or not: [`Session::on_bye`] and its like
//! return what is left of it. So no state outlives its session, and each session says exactly one last word.

mod accepted;
mod calling;
mod confirmed;
mod dispatch;
mod in_dialog;
mod leaving;
mod offered;
mod reoffer;

pub(super) use calling::Calling;
pub(super) use in_dialog::Path;
pub(super) use offered::Offered;

use super::SessionId;
use super::command::Headers;
use super::core::{Core, Owner};
use super::event::{EndedBy, Event};
use super::exchange::{ExchangeId, Purpose};
use super::timer::{SessionTimer, TimerKey};
use crate::dialog::Dialog;
use crate::message::{Message, Method};
use accepted::Accepted;
use confirmed::Confirmed;
use in_dialog::InDialog;
use leaving::{Last, Leaving};
use std::time::Duration;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) path: Path,
    pub(super) state: State,
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
    /// What it is besides its state, and its state.
    fn parts(self) -> (At, State) {
        (At { id: self.id, path: self.path }, self.state)
    }
}

impl State {
    /// The dialog that a peer's request is in.
    fn dialog_mut(&mut self, request: &Message) -> Option<&mut Dialog> {
        match self {
            Self::Calling(state) => {
                let id = crate::dialog::DialogId::of_request(request).ok()??;
                state.early.iter_mut().find(|dialog| *dialog.id() == id)
            }
            Self::Offered(state) => Some(&mut state.dialog),
            Self::Accepted(state) => Some(&mut state.dialog),
            Self::Confirmed(state) => Some(&mut state.dialog),
            Self::Leaving(state) => Some(&mut state.dialog),
        }
    }
}

/// What a session is besides its state.
#[derive(Debug)]
pub(super) struct At {
    pub(super) id: SessionId,
    pub(super) path: Path,
}

impl At {
    fn session(self, state: State) -> Session {
        Session { id: self.id, path: self.path, state }
    }

    fn start(&self, core: &mut Core, timer: SessionTimer, after: Duration) {
        core.start(TimerKey::Session(self.id, timer), after);
    }

    fn stop(&self, core: &mut Core, timer: SessionTimer) {
        core.timers.stop(TimerKey::Session(self.id, timer));
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
    fn end_with(self, core: &mut Core, dialogs: impl IntoIterator<Item = Dialog>, last: Event) -> Option<Session> {
        for dialog in dialogs {
            core.unregister_dialog(&dialog);
        }
        for timer in SessionTimer::ALL {
            self.stop(core, timer);
        }
        core.authorizers.remove(&Owner::Session(self.id));
        core.event(last);
        None
    }

    /// Sends BYE; `last` is said when it has been answered or given up.
    fn leave(self, core: &mut Core, mut dialog: Dialog, headers: Headers, last: Last) -> Option<Session> {
        for timer in SessionTimer::ALL {
            self.stop(core, timer);
        }
        self.send_in_dialog(
            core,
            &mut dialog,
            Purpose::Bye(self.id),
            InDialog { headers, ..InDialog::new(Method::Bye) },
        );
        Some(self.session(State::Leaving(Leaving { dialog, last })))
    }

    /// Sends a request inside a dialog, with the dialog's next CSeq.
    fn send_in_dialog(&self, core: &mut Core, dialog: &mut Dialog, purpose: Purpose, request: InDialog) -> ExchangeId {
        let cseq = dialog.next_cseq();
        let owner = Some(Owner::Session(self.id));
        core.send_in_dialog((Some(self.id), owner), dialog, &self.path, cseq, purpose, request)
    }
}
