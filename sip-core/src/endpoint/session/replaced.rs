//! Taking the place of a dialog (RFC 3891): which session an INVITE means, and what a session is called by others.

use super::super::{Endpoint, SessionId};
use super::{Session, State};
use crate::dialog::{Dialog, DialogId};
use crate::header::Replaces;
use crate::message::{Message, StatusCode};

impl Endpoint {
    /// The session that an INVITE asks to replace (§3), or what the INVITE is answered.
    pub(in super::super) fn replaced_by(&self, invite: &Message) -> Result<Option<SessionId>, StatusCode> {
        let Some(replaces) = Replaces::of_invite(invite).map_err(|_| StatusCode::BAD_REQUEST)? else { return Ok(None) };
        let gone = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        let named = |remote_tag: &str| {
            let (call_id, local_tag) = (replaces.call_id.as_str().into(), replaces.to_tag.as_str().into());
            let id = DialogId { call_id, local_tag, remote_tag: remote_tag.into() };
            self.core.dialogs.get(&id).map(|(session, _)| *session)
        };
        // §3: the tag "0" stands for none too.
        let from_tag = replaces.from_tag.as_str();
        let found = named(from_tag).or_else(|| (from_tag == "0").then(|| named("")).flatten()).ok_or(gone)?;
        let session = self.sessions.get(found).ok_or(gone)?;
        session.replaceable(replaces.early_only).map(|()| Some(found))
    }
}

impl Session {
    /// §3: what is early is replaced only where we have called; what is confirmed not where only an early one is meant;
    /// what has ended not at all.
    const fn replaceable(&self, early_only: bool) -> Result<(), StatusCode> {
        match &self.state {
            State::Calling(_) => Ok(()),
            State::Offered(_) => Err(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
            State::Accepted(_) | State::Confirmed(_) if early_only => Err(StatusCode::BUSY_HERE),
            State::Accepted(_) | State::Confirmed(_) => Ok(()),
            State::Leaving(_) => Err(StatusCode::DECLINE),
        }
    }

    /// What an INVITE to the peer carries to take this session's place: the peer's own tag first. The peer replaces what
    /// stands, or an early dialog that it has opened itself (§3).
    pub(in super::super) fn replaces(&self) -> Option<Replaces> {
        let (dialog, early_only): (&Dialog, bool) = match &self.state {
            State::Offered(state) if state.told => (&state.dialog, true),
            State::Accepted(state) => (&state.dialog, false),
            State::Confirmed(state) => (&state.dialog, false),
            State::Offered(_) | State::Calling(_) | State::Leaving(_) => return None,
        };
        let DialogId { call_id, local_tag, remote_tag } = dialog.id();
        let from_tag = if local_tag.is_empty() { "0" } else { local_tag }.to_owned();
        let to_tag = if remote_tag.is_empty() { "0" } else { remote_tag }.to_owned();
        Some(Replaces { call_id: call_id.to_string(), to_tag, from_tag, early_only })
    }
}
