//! The door: who may register, and who may call in (DESIGN.md §5, SECURITY 8, FAULTS 22 and 23). A request from outside of
//! any call comes here before anything is kept of it; whoever has no business here is refused and leaves nothing behind.

use crate::desk::{Desk, Timer};
use crate::registrar::{Reply, Verdict};
use base::Now;
use sip_core::endpoint::{Headers, InboundId, Source};
use sip_core::message::{Message, Method, StatusCode};
use sip_core::transport::FlowId;

impl Desk {
    /// A request from outside of any call.
    pub(crate) fn on_arrived(&mut self, id: InboundId, request: &Message, source: &Source, now: Now) {
        match request.method() {
            Method::Register => self.on_register(id, request, source, now),
            Method::Invite => self.on_knock(id, request, source, now),
            _ => self.endpoint.refuse(id, StatusCode::METHOD_NOT_ALLOWED, Headers::new(), now),
        }
    }

    fn on_register(&mut self, id: InboundId, request: &Message, source: &Source, now: Now) {
        match self.registrar.register(request, source, now) {
            Reply::Answer(status, headers) => self.endpoint.answer(id, status, headers, None, now),
            Reply::Refuse(status, headers) => self.endpoint.refuse(id, status, headers, now),
            Reply::Ignore => self.endpoint.ignore(id),
        }
        self.follow_registrar(now);
    }

    /// An INVITE: a carrier's, by where it comes from; a user's, by what it can prove; else nobody's.
    fn on_knock(&mut self, id: InboundId, request: &Message, source: &Source, now: Now) {
        if self.trunks.of_caller(source.addr.ip(), request).is_some() {
            self.endpoint.admit(id, now);
            return;
        }
        match self.registrar.authenticate(request, source, now) {
            Verdict::User(user) => {
                if let Some(session) = self.endpoint.admit(id, now) {
                    self.callers.insert(session, user);
                }
            }
            Verdict::Challenge(headers) => self.endpoint.refuse(id, StatusCode::UNAUTHORIZED, headers, now),
            Verdict::Malformed => self.endpoint.refuse(id, StatusCode::BAD_REQUEST, Headers::new(), now),
            Verdict::Stranger => {
                // At whatever pace strangers knock, the log of a switch at work stays its own (FAULTS 21).
                tracing::debug!(from = %source.addr, "a stranger's INVITE was refused at the door");
                self.endpoint.refuse(id, StatusCode::FORBIDDEN, Headers::new(), now);
            }
            Verdict::Banned => self.endpoint.ignore(id),
        }
    }

    /// A connection has ended over which somebody was registered.
    pub(crate) fn on_flow_closed(&mut self, flow: FlowId, now: Now) {
        self.registrar.flow_closed(flow);
        self.follow_registrar(now);
    }

    /// Bindings have come to their end.
    pub(crate) fn on_binding_timer(&mut self, now: Now) {
        self.registrar.expire(now);
        self.follow_registrar(now);
    }

    /// Connections and the timer follow what is bound now.
    fn follow_registrar(&mut self, now: Now) {
        for (flow, kept) in self.registrar.take_changes() {
            self.endpoint.keep(flow, kept, now);
        }
        match self.registrar.next_expiry() {
            Some(at) => self.timers.set(Timer::Binding, at),
            None => self.timers.stop(Timer::Binding),
        }
    }

    /// Timers that stand while nothing happens.
    pub(crate) fn standing_timers(&self) -> usize {
        self.trunks.standing_timers(&self.timers) + usize::from(self.timers.get(Timer::Binding).is_some())
    }
}
