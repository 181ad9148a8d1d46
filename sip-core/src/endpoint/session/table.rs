//! All sessions.

use super::super::SessionId;
use super::super::core::Core;
use super::Session;
use rustc_hash::FxHashMap;

/// The sessions there are. Each lies where it lay at its beginning: it is large, and every message takes it out and puts
/// it back. One that is out is not there.
#[derive(Debug, Default)]
pub(in super::super) struct Sessions(FxHashMap<SessionId, Box<Option<Session>>>);

impl Sessions {
    pub(in super::super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in super::super) fn insert(&mut self, id: SessionId, session: Session) {
        self.0.insert(id, Box::new(Some(session)));
    }

    pub(in super::super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.0.get(&id)?.as_ref().as_ref()
    }

    pub(in super::super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.0.get_mut(&id)?.as_mut().as_mut()
    }

    /// Takes a session out, hands it to `f`, and puts back what is left of it. One that is not there has said its last
    /// word.
    pub(in super::super) fn with(
        &mut self,
        id: SessionId,
        core: &mut Core,
        f: impl FnOnce(Session, &mut Core) -> Option<Session>,
    ) {
        let Some(slot) = self.0.get_mut(&id) else { return };
        let Some(session) = slot.take() else { return };
        match f(session, core) {
            Some(session) => **slot = Some(session),
            None => {
                self.0.remove(&id);
            }
        }
    }
}
