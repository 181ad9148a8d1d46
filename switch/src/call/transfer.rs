//! A far end that wants its other leg to talk to somebody else (RFC 3515): blind, and attended (RFC 3891).
//!
//! Whoever asks stays joined until the new one has answered; what fails leaves everything as it was.

use super::bridge::Bridging;
use super::{Call, Stage};
use crate::desk::{Desk, Wake};
use crate::ending::Ending;
use crate::letter::{Letter, Release};
use crate::route::Caller;
use crate::{CallSid, Origin};
use base::Now;
use ivr::Target;
use media::EndpointId;
use sip_core::endpoint::ReferId;
use sip_core::message::StatusCode;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a far end may take to hang up a call that it has handed on.
const HANG_UP_WITHIN: Duration = Duration::from_secs(2);
/// How long the one to whom a call is transferred may ring, in seconds.
const RING_S: u32 = 60;

impl Call {
    /// The far end asks for a transfer of the one it talks to.
    pub(crate) fn on_refer(&mut self, id: ReferId, to: String, desk: &mut Desk, now: Now) {
        let Some(session) = self.leg.session else { return };
        let caller = Caller {
            tenant: self.about.tenant.clone(),
            from: self.about.from.clone(),
            passes: true,
            trunks: self.reaches_trunks,
        };
        let refused = match (&self.stage, self.peer, self.referring) {
            (Stage::Talking(_), Some(_), None) => desk.route(&to, &caller, now).err(),
            _ => Some(Ending::new(crate::Status::Failed, Origin::Switch, 603, "there is nobody to transfer")),
        };
        if let Some(ending) = refused {
            tracing::info!(reason = ending.cause.reason, "a transfer is refused");
            let status = ending.cause.sip_status.and_then(StatusCode::new).unwrap_or(StatusCode::DECLINE);
            return desk.endpoint.refer_reject(session, id, status, now);
        }
        desk.endpoint.refer_accept(session, id, now);
        self.referring = Some(id);
        if let Some(peer) = self.peer {
            desk.letters.push_back((peer, Letter::Transfer { by: self.sid, to, trunks: self.reaches_trunks }));
        }
    }

    /// The one that this call talks to wants it to talk to somebody else.
    pub(super) fn transfer(&mut self, by: CallSid, to: String, trunks: bool, desk: &mut Desk, now: Now) {
        if self.peer != Some(by) || self.bridge.as_ref().is_some_and(|bridge| !bridge.is_settled()) {
            return desk.letters.push_back((by, Letter::Referred { sip_status: 491 }));
        }
        self.bridge.get_or_insert_with(Bridging::of_a_leg).refer(by, trunks);
        self.call_out(VecDeque::from([Target::new(to, RING_S)]), desk, now);
    }

    /// What has become of the transfer that the far end asked for. Once it stands, the far end has nobody to talk to.
    pub(super) fn on_referred(&mut self, sip_status: u16, desk: &mut Desk, now: Now) {
        let (Some(id), Some(session)) = (self.referring, self.leg.session) else { return };
        let status = StatusCode::new(sip_status).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR);
        desk.endpoint.refer_notify(session, id, status, status.reason(), status.is_final(), now);
        if status.is_final() {
            self.referring = None;
        }
        if status.is_success() {
            self.transferred(desk, now);
        }
    }

    /// The other leg talks to somebody else now. It is the far end's to hang up, once it has heard (RFC 5589 §6.1); where
    /// it does not, we do.
    fn transferred(&mut self, desk: &mut Desk, now: Now) {
        if let Some(own) = self.leg.media.filter(|_| self.peer.is_some()) {
            desk.media(media::Command::Unbridge { id: own.id });
        }
        self.peer = None;
        self.handed_on = true;
        self.alarms.wake(Wake::HandedOn, HANG_UP_WITHIN, desk, now);
    }

    /// How a call ends whose far end has handed it on.
    pub(super) fn end_of_transfer(&self) -> Ending {
        let origin = if self.outbound() { Origin::Callee } else { Origin::Caller };
        Ending::cleared(origin, "transferred")
    }

    /// Whether this call may be taken by an attended transfer: the one that it is joined with, and where its audio is.
    pub(crate) fn transferable(&self) -> Option<CallSid> {
        self.peer.filter(|_| matches!(self.stage, Stage::Talking(_)))
    }

    /// A call that takes the place of another one is answered at once (RFC 3891 §3).
    pub(super) fn take_over(&mut self, old: CallSid, desk: &mut Desk, now: Now) {
        self.accept(None, desk, now);
        if let Some(own) = self.leg.media.filter(|_| self.is_live()) {
            desk.letters.push_back((old, Letter::Replaced { by: self.sid, media: own.id }));
        }
    }

    /// Another call takes this one's place.
    pub(super) fn replaced(&mut self, by: CallSid, media: EndpointId, desk: &mut Desk, now: Now) {
        match self.transferable() {
            Some(peer) => {
                desk.letters.push_back((peer, Letter::Take { with: by, media }));
                self.peer = None;
                self.end(Ending::cleared(Origin::Caller, "another call took its place"), desk, now);
            }
            None => {
                let release = Release::new(Origin::Switch, "the call that it was to replace is over");
                desk.letters.push_back((by, Letter::Release(release)));
            }
        }
    }

    /// The one that this call talks to has been replaced.
    pub(super) fn take(&mut self, with: CallSid, media: EndpointId, desk: &mut Desk, now: Now) {
        let Some(own) = self.leg.media.filter(|_| self.is_live()) else { return };
        desk.letters.push_back((with, Letter::Joined { with: self.sid }));
        self.hand_over(with, desk, now);
        desk.media(media::Command::Bridge { id: own.id, with: media });
    }

    /// Its audio.
    pub(crate) fn media(&self) -> Option<EndpointId> {
        self.leg.media.map(|media| media.id)
    }

    /// Whose it is.
    pub(crate) fn tenant(&self) -> &str {
        &self.about.tenant
    }

    /// It is joined with another one from now on.
    pub(crate) fn hand_over(&mut self, with: CallSid, desk: &mut Desk, now: Now) {
        self.unjoin(desk, now);
        self.join(with, desk, now);
    }

    /// The far end has handed both of its calls over, of which this is one; `asked` where it asked by this one.
    pub(crate) fn handed_over(&mut self, asked: Option<ReferId>, desk: &mut Desk, now: Now) {
        if let (Some(id), Some(session)) = (asked, self.leg.session) {
            desk.endpoint.refer_accept(session, id, now);
            desk.endpoint.refer_notify(session, id, StatusCode::OK, StatusCode::OK.reason(), true, now);
        }
        self.transferred(desk, now);
    }
}
