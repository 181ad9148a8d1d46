//! Our BYE before its final response (RFC 3261 §15.1.1). Whatever the answer, the session is over.

use super::super::core::Core;
use super::super::event::Event;
use super::{At, Session};
use crate::dialog::Dialog;

/// Our BYE has no final response yet.
#[derive(Debug)]
pub(in super::super) struct Leaving {
    pub(super) dialog: Dialog,
    /// What is said when it is over.
    pub(super) last: Event,
}

impl Leaving {
    pub(super) fn on_done(self, at: At, core: &mut Core) -> Option<Session> {
        at.end_with(core, [self.dialog], self.last)
    }
}
