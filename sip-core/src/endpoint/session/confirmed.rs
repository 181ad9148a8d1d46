//! A session both sides know (RFC 3261 §14, §15). What changes it in mid-flight is in [`super::reoffer`] and
//! [`super::reoffered`].

use super::super::command::Headers;
use super::super::core::Core;
use super::super::event::EndedBy;
use super::leaving::Last;
use super::{At, Session};
use crate::dialog::Dialog;
use crate::message::Message;

/// Who sent the INVITE that made the dialog: the owner of its Call-ID (§14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Role {
    Uac,
    Uas,
}

/// Both sides know.
#[derive(Debug)]
pub(in super::super) struct Confirmed {
    pub(super) dialog: Dialog,
    pub(super) role: Role,
    pub(super) user: Option<String>,
}

impl Confirmed {
    pub(super) const fn new(dialog: Dialog, role: Role, user: Option<String>) -> Self {
        Self { dialog, role, user }
    }

    pub(super) fn hangup(self, at: At, core: &mut Core, headers: Headers) -> Option<Session> {
        at.leave(core, self.dialog, headers, Last::Ended(EndedBy::Us))
    }

    pub(super) fn on_bye(self, mut at: At, core: &mut Core, request: Message) -> Option<Session> {
        at.acknowledge_late(core, &self.dialog, None);
        at.end(core, [self.dialog], EndedBy::Peer, Some(request))
    }
}
