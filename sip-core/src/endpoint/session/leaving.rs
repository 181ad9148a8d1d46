//! Our BYE before its final response (RFC 3261 §15.1.1). Whatever the answer, the session is over.

use super::super::SessionId;
use super::super::core::Core;
use super::super::event::{EndedBy, Event};
use super::calling::Ending;
use super::{At, Session};
use crate::dialog::Dialog;

/// Our BYE has no final response yet.
#[derive(Debug)]
pub(in super::super) struct Leaving {
    pub(super) dialog: Dialog,
    /// What is said when it is over.
    pub(super) last: Last,
}

/// The last word of a session that ends with our BYE.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Last {
    /// It stood.
    Ended(EndedBy),
    /// Its 2xx came when nobody wanted it any more.
    Failed(Ending),
}

impl Last {
    const fn event(self, session: SessionId) -> Event {
        match self {
            Self::Ended(by) => Event::Ended { session, by, request: None },
            Self::Failed(why) => Event::Failed { session, failure: why.failure() },
        }
    }
}

impl Leaving {
    pub(super) fn on_done(self, at: At, core: &mut Core) -> Option<Session> {
        let last = self.last.event(at.id);
        at.end_with(core, [self.dialog], last)
    }
}
