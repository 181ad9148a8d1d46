//! What the peer has said it can do (RFC 3261 §20.5).

use crate::message::{Message, Name};

/// Its last word on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// Allow names UPDATE.
    pub(super) update: bool,
}

impl Peer {
    /// A message of the peer's that may carry Allow. One that does not says nothing new.
    pub(super) fn learn(&mut self, message: &Message) {
        if message.count(Name::Allow) > 0 {
            self.update = message.values(Name::Allow).any(|method| *method == *b"UPDATE");
        }
    }
}
