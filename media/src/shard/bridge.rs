//! Two endpoints of one shard, joined: what one hears, the other sends.
//!
//! Each names the other, and only where both do are they joined. So an endpoint that has moved away, or was joined with
//! a third, is left without a word to whom it was joined with before.

use super::Shard;
use crate::command::EndpointId;
use crate::endpoint::{Context, Endpoint, Passed};
use crate::event::Event;
use crate::io::{Leg, PacketIo};
use base::Now;

impl Shard {
    pub(super) fn bridge(&mut self, id: EndpointId, with: EndpointId, now: Now, io: &mut dyn PacketIo) {
        if id == with {
            let error = format!("endpoint {} cannot be joined with itself", id.0);
            return self.events.push(Event::Failed { id, error });
        }
        let (Some(left), Some(right)) = (self.leg(id), self.leg(with)) else {
            self.stats.unknown_endpoint += 1;
            return;
        };
        if self.peer(id) == Some(with) && self.peer(with) == Some(id) {
            return;
        }
        for (leg, peer) in [(left, right), (right, left)] {
            self.part(leg.id, now, io);
            self.leave(leg.id);
            self.with(leg.id, now, io, |endpoint, ctx| endpoint.join(Some(peer), ctx));
        }
    }

    pub(super) fn unbridge(&mut self, id: EndpointId, now: Now, io: &mut dyn PacketIo) {
        match self.leg(id) {
            Some(_) => self.part(id, now, io),
            None => self.stats.unknown_endpoint += 1,
        }
    }

    /// Ends the join of an endpoint, if there is one.
    pub(super) fn part(&mut self, id: EndpointId, now: Now, io: &mut dyn PacketIo) {
        let Some(peer) = self.peer(id) else { return };
        self.with(id, now, io, |endpoint, ctx| endpoint.join(None, ctx));
        if self.peer(peer) == Some(id) {
            self.with(peer, now, io, |endpoint, ctx| endpoint.join(None, ctx));
        }
    }

    /// An endpoint that is held has nothing for its peer, which need not wait to notice.
    pub(super) fn silence_held(&mut self, id: EndpointId, now: Now, io: &mut dyn PacketIo) {
        let Some(held) = self.at(id).filter(|endpoint| !endpoint.listens()) else { return };
        if let Some(peer) = held.peer.map(|peer| peer.id).filter(|peer| self.peer(*peer) == Some(id)) {
            self.with(peer, now, io, |endpoint, ctx| endpoint.fall_silent(ctx));
        }
    }

    /// An endpoint came from another shard: it and its peer learn each other's place.
    pub(super) fn rejoin(&mut self, leg: Leg) {
        let Some(peer) = self.peer(leg.id).and_then(|peer| self.leg(peer)) else { return };
        for (of, to) in [(leg, peer), (peer, leg)] {
            if let Some(known) = self.at_mut(of.id).and_then(|endpoint| endpoint.peer.as_mut())
                && known.id == to.id
            {
                *known = to;
            }
        }
    }

    /// Passes on what one heard, where both are joined.
    pub(super) fn relay(&mut self, from: EndpointId, to: Leg, passed: &Passed<'_>, now: Now, io: &mut dyn PacketIo) {
        let Self { slots, events, stats, rng, records, rooms, scratch, .. } = self;
        let endpoint = slots.get_mut(to.slot as usize).and_then(Option::as_mut);
        let joined =
            |endpoint: &&mut Box<Endpoint>| endpoint.id == to.id && endpoint.peer.is_some_and(|peer| peer.id == from);
        if let Some(endpoint) = endpoint.filter(joined) {
            endpoint.relay(passed, &mut Context { now, leg: to, io, events, stats, rng, records, rooms, scratch });
        }
    }

    pub(super) fn at(&self, id: EndpointId) -> Option<&Endpoint> {
        self.slots.get(*self.by_id.get(&id)? as usize)?.as_deref()
    }

    pub(super) fn at_mut(&mut self, id: EndpointId) -> Option<&mut Endpoint> {
        self.slots.get_mut(*self.by_id.get(&id)? as usize)?.as_deref_mut()
    }

    fn peer(&self, id: EndpointId) -> Option<EndpointId> {
        Some(self.at(id)?.peer?.id)
    }
}
