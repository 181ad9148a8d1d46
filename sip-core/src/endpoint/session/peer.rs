//! What the peer has said it can do (RFC 3261 §20.5, §20.37).

use crate::message::{Message, Name};

/// Its last word on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// Allow names UPDATE.
    pub(super) update: bool,
    /// It keeps session timers (RFC 4028).
    pub(super) timer: bool,
}

impl Peer {
    /// A message of the peer's that may carry Allow and Supported. One that carries neither says nothing new.
    pub(super) fn learn(&mut self, message: &Message) {
        if message.count(Name::Allow) > 0 {
            self.update = message.values(Name::Allow).any(|method| *method == *b"UPDATE");
        }
        if message.count(Name::Supported) > 0 || message.count(Name::Require) > 0 {
            self.timer = message.supports("timer");
        }
    }
}
