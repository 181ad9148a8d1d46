//! A far end that wants its other leg to talk to somebody else (RFC 3515): blind, and attended (RFC 3891).
//!
//! Whoever asks stays joined until the new one has answered; what fails leaves everything as it was.

use super::bridge::Bridging;
use super::{Call, Stage};
use crate::desk::Desk;
use crate::ending::Ending;
use crate::letter::Letter;
use crate::route::Caller;
use crate::{CallSid, Origin};
use base::Now;
use ivr::Target;
use media::EndpointId;
use sip_core::endpoint::ReferId;
use sip_core::message::StatusCode;
use std::collections::VecDeque;

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
        self.call_out(VecDeque::from([Target { to, timeout_s: RING_S }]), desk, now);
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

    /// The other leg talks to somebody else now.
    fn transferred(&mut self, desk: &mut Desk, now: Now) {
        self.peer = None;
        let origin = if self.outbound() { Origin::Callee } else { Origin::Caller };
        self.end(Ending::cleared(origin, "transferred"), desk, now);
    }

    /// Whether this call may be taken by an attended transfer: the one that it is joined with, and where its audio is.
    pub(crate) fn transferable(&self) -> Option<CallSid> {
        self.peer.filter(|_| matches!(self.stage, Stage::Talking(_)))
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
