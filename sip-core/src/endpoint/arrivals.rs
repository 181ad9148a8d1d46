//! Requests outside of sessions on their way through the door: told to the user, who answers, refuses or admits them
//! (RFC 3261 §8.2, §10.3).
//!
//! A stranger's request costs one place in a bounded table until its user has looked at it, which is at once: refused, it
//! leaves nothing behind, and its copies are refused in the same words (§8.2.7). Only what the user *answers* has a
//! transaction, and only what it *admits* opens a session.

use super::Endpoint;
use super::answer;
use super::command::{Body, Headers, InboundId, SessionId};
use super::compose::Answer;
use super::config::{ARRIVAL_TIMEOUT, MAX_ARRIVALS};
use super::event::Event;
use super::receive::Request;
use super::timer::TimerKey;
use crate::message::{Message, Method, StatusCode};
use crate::transaction::{MergeKey, ServerKey};
use crate::transport::FlowId;
use base::Now;
use std::collections::{BTreeMap, HashMap};

/// A request that its user has been told of.
struct Waiting {
    request: Request,
    key: ServerKey,
    merge: MergeKey,
}

/// All of them.
#[derive(Default)]
pub(super) struct Arrivals {
    table: BTreeMap<InboundId, Waiting>,
    keys: HashMap<ServerKey, InboundId>,
    merges: HashMap<MergeKey, InboundId>,
}

impl Arrivals {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The request of which this would be a copy, or which it would cancel.
    pub(super) fn find(&self, key: &ServerKey) -> Option<InboundId> {
        self.keys.get(key).copied()
    }

    /// True where the same request has come by another way (§8.2.2.2).
    pub(super) fn is_merged(&self, merge: &MergeKey) -> bool {
        self.merges.contains_key(merge)
    }

    fn insert(&mut self, id: InboundId, waiting: Waiting) {
        self.keys.insert(waiting.key.clone(), id);
        self.merges.insert(waiting.merge.clone(), id);
        self.table.insert(id, waiting);
    }

    fn take(&mut self, id: InboundId) -> Option<Waiting> {
        let waiting = self.table.remove(&id)?;
        self.keys.remove(&waiting.key);
        self.merges.remove(&waiting.merge);
        Some(waiting)
    }
}

impl Endpoint {
    /// Answers a request with a final response, which is kept for the request's copies (§17.2.2). Contact is taken from
    /// `headers` in the response to a REGISTER (§10.3). An INVITE is refused by it, or where the status is no refusal not
    /// answered at all: it is admitted first.
    pub fn answer(&mut self, id: InboundId, status: StatusCode, headers: Headers, body: Option<Body>, now: Now) {
        self.core.now = now;
        let is_invite = self.arrivals.table.get(&id).is_some_and(|waiting| waiting.request.method == Method::Invite);
        if status.is_provisional() || (is_invite && status.class() < 3) {
            return;
        }
        // With no room for a transaction the answer is not kept: a copy of the request comes up once more.
        if is_invite || self.transactions() >= self.core.config.max_transactions {
            return self.refuse(id, status, headers, now);
        }
        let Some(waiting) = self.take_arrival(id) else { return };
        let contacts = waiting.request.method == Method::Register;
        let server = self.start_server(waiting.request, (waiting.key, Some(waiting.merge)), None);
        self.core.reply(server, Answer { headers, body, contacts, ..Answer::new(status) });
        self.pump();
    }

    /// Answers a request and forgets it: copies of it come up again and want the same answer (§8.2.7). What every
    /// challenge and every refusal of a stranger is answered with. An INVITE's ACK comes to nobody and is dropped.
    pub fn refuse(&mut self, id: InboundId, status: StatusCode, headers: Headers, now: Now) {
        self.core.now = now;
        if let Some(waiting) = self.take_arrival(id) {
            let Request { message, method, arrival, .. } = waiting.request;
            // An admitted one's line is its session's.
            if method == Method::Invite {
                self.core.ladder_received(None, arrival.peer(), &message, false);
            }
            self.answer_stateless(&message, Answer { headers, ..Answer::new(status) }, arrival);
        }
    }

    /// Drops a request without a word: its sender is not owed one (a flood, a ban).
    pub fn ignore(&mut self, id: InboundId) {
        self.take_arrival(id);
    }

    /// Lets an INVITE open a session, which [`Event::Incoming`] tells of. None where the request is gone or no INVITE.
    pub fn admit(&mut self, id: InboundId, now: Now) -> Option<SessionId> {
        self.core.now = now;
        self.arrivals.table.get(&id).filter(|waiting| waiting.request.method == Method::Invite)?;
        let waiting = self.take_arrival(id)?;
        let session = self.on_invite(waiting.request, waiting.key, waiting.merge);
        self.pump();
        session
    }

    /// Keeps a connection open although nothing is under way on it, or no more: somebody is registered over it (RFC 5626
    /// §5.3). Its end is told by [`Event::FlowClosed`].
    pub fn keep(&mut self, flow: FlowId, kept: bool, now: Now) {
        self.core.now = now;
        if let Some(flow) = self.core.flows.get_mut(flow) {
            flow.kept = kept;
        }
        self.core.touch(flow);
    }

    fn take_arrival(&mut self, id: InboundId) -> Option<Waiting> {
        self.core.timers.stop(TimerKey::Arrival(id));
        self.arrivals.take(id)
    }

    /// Tells the user of a request.
    pub(super) fn arrive(&mut self, request: Request, key: ServerKey, merge: MergeKey) {
        if self.arrivals.len() >= MAX_ARRIVALS {
            return self.answer_stateless(&request.message, answer::unavailable(), request.arrival);
        }
        let id = InboundId(self.core.next_id());
        let (message, source) = (request.message.clone(), request.arrival.source);
        self.arrivals.insert(id, Waiting { request, key, merge });
        self.core.start(TimerKey::Arrival(id), ARRIVAL_TIMEOUT);
        self.core.event(Event::Arrived { request: id, message, source });
    }

    /// The user has said nothing.
    pub(super) fn arrival_timed_out(&mut self, id: InboundId) {
        let now = self.core.now;
        self.answer(id, StatusCode::SERVER_INTERNAL_ERROR, Headers::new(), None, now);
    }

    /// §9.2: an INVITE that is canceled at the door. True where there was one.
    pub(super) fn cancel_arrival(&mut self, key: &ServerKey, cancel: &Request) -> bool {
        let Some(id) = self.arrivals.find(key) else { return false };
        self.answer_stateless(&cancel.message, Answer::new(StatusCode::OK), cancel.arrival);
        let now = self.core.now;
        self.refuse(id, StatusCode::REQUEST_TERMINATED, Headers::new(), now);
        true
    }

    /// True where the user wants to be told of a request of this kind.
    pub(super) fn is_handed_up(&self, message: &Message) -> bool {
        self.core.config.handed_up.contains(&message.method())
    }
}
