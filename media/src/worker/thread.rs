//! One shard's loop: wait, take packets, take messages, tick, hand out events. Everything it touches is its own.

use super::EngineConfig;
use super::inbox::{Inbox, Message, Receiver};
use super::pair::Pair;
use super::sockets::{INBOX_TOKEN, Sockets};
use super::writer::Order;
use crate::command::{Command, EndpointId};
use crate::event::Event;
use crate::shard::{EndpointState, Shard};
use crate::stats::ShardReport;
use base::{Now, Rng};
use rustix::event::epoll;
use std::{
    collections::{HashSet, VecDeque},
    io,
    num::NonZeroU64,
    sync::{Arc, mpsc},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long the loop may rest while packets keep coming, so that many share one wake: the wake is dearer than the packet
/// (a relayed packet waits for half of it in the mean). It bounds what a rest adds to a packet's or a command's way.
pub const REST: Duration = Duration::from_micros(750);

/// The same while only messages come: calls that begin and end, and nobody speaks yet.
pub const MESSAGES_REST: Duration = Duration::from_millis(1);

/// Packets and messages in one stretch of [`REST`] from which on the loop rests. Fewer are taken as they come.
const PACKETS_BEFORE_REST: usize = 2;

/// Stretches without a packet after which only messages are expected: a packet time.
const QUIET_STRETCHES: u64 = 27;

/// Messages taken in a row, so that a flood of commands cannot hold up the tick.
const MESSAGES_A_TURN: usize = 256;

/// Sockets looked at in a row.
const EVENTS_A_WAIT: usize = 512;

/// Commands a shard keeps for endpoints that are on their way from another. More are answered by `Failed`; a way takes
/// microseconds, so that only a shard that stands still gets there.
pub const HELD_COMMANDS: usize = 4_096;

/// When a file's thread that had no room is asked again.
const ORDER_AGAIN: Duration = Duration::from_millis(20);

/// What a packet is read into: more than any that is heard.
const MAX_DATAGRAM: usize = 2048;

pub(super) struct Worker {
    number: usize,
    origin: Instant,
    shard: Shard,
    sockets: Sockets,
    inboxes: Arc<[Inbox]>,
    receiver: Receiver,
    /// The way to the recordings' files, and what is on it next.
    orders: mpsc::SyncSender<Order>,
    ordered: VecDeque<Order>,
    /// Endpoints that are on their way here.
    expected: HashSet<EndpointId>,
    /// What was said meanwhile about them, and about those they are to be joined with, in order.
    held: Vec<Message>,
    /// Endpoints given away in this turn: they leave when their events here have.
    leaving: Vec<(usize, Message)>,
    /// Commands that could not be kept.
    refused: Vec<EndpointId>,
    stopping: bool,
}

/// When the loop rests: once packets come faster than it is worth to be woken for each.
#[derive(Default)]
struct Rests {
    /// Which stretch of [`REST`] this is, counted from the beginning.
    stretch: u64,
    packets: usize,
    messages: usize,
    /// The last stretch that had a packet in it.
    heard: u64,
}

impl Rests {
    /// After so many packets and messages: until when, monotonic nanoseconds, if at all.
    fn after(&mut self, packets: usize, messages: usize, mono: u64) -> Option<u64> {
        let length = REST.as_nanos() as u64;
        let stretch = mono / length;
        if stretch != self.stretch {
            (self.stretch, self.packets, self.messages) = (stretch, 0, 0);
        }
        self.packets += packets;
        self.messages += messages;
        if packets > 0 {
            self.heard = stretch;
        }
        let is_quiet = stretch - self.heard > QUIET_STRETCHES;
        let length = if is_quiet { MESSAGES_REST.as_nanos() as u64 } else { length };
        (self.packets + self.messages >= PACKETS_BEFORE_REST).then(|| (mono / length + 1) * length)
    }
}

impl Worker {
    pub(super) fn new(
        number: usize,
        config: &EngineConfig,
        rng: Rng,
        inboxes: Arc<[Inbox]>,
        receiver: Receiver,
        orders: mpsc::SyncSender<Order>,
        most_direct: usize,
    ) -> io::Result<Self> {
        let sockets = Sockets::new(config.bind_ip, most_direct)?;
        sockets.watch_inbox(receiver.as_fd())?;
        Ok(Self {
            number,
            origin: config.origin,
            shard: Shard::new(config.shard.clone(), rng),
            sockets,
            inboxes,
            receiver,
            orders,
            ordered: VecDeque::new(),
            expected: HashSet::new(),
            held: Vec::new(),
            leaving: Vec::new(),
            refused: Vec::new(),
            stopping: false,
        })
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        Now::new(self.origin.elapsed().as_nanos() as u64, wall)
    }

    pub(super) fn run(mut self, sink: impl Fn(Event)) {
        // Without it the kernel may wake the 1 ms tick 50 µs late; where it is refused, the tick is that much later.
        if let Err(error) = rustix::thread::set_current_timer_slack(NonZeroU64::new(1)) {
            tracing::warn!(shard = self.number, %error, "timer slack cannot be set");
        }
        let mut ready = Vec::with_capacity(EVENTS_A_WAIT);
        let mut buffer = [0; MAX_DATAGRAM];
        let (mut rests, mut packets) = (Rests::default(), 0);
        while !self.stopping {
            // Where something was there, a socket may have more.
            let at_once = packets > 0 || self.receiver.waits();
            let patience = if at_once || self.receiver.doze() { Some(Duration::ZERO) } else { self.patience() };
            self.sockets.wait(&mut ready, patience);
            self.receiver.wake();
            packets = self.receive(&ready, &mut buffer);
            let messages = self.messages();
            let now = self.now();
            if self.shard.next_wake().is_some_and(|at| at <= now.mono) {
                self.shard.tick(now, &mut self.sockets);
            }
            self.flush(&sink);
            self.hand_over();
            let until = rests.after(packets, messages, now.mono);
            if packets == 0 && !self.receiver.waits() {
                self.rest(until);
            }
        }
        self.close_all();
        self.flush(&sink);
        // At the end the disk is waited for: what was said is kept.
        for order in self.ordered.drain(..) {
            if self.orders.send(order).is_err() {
                break;
            }
        }
    }

    /// How long nothing is due.
    fn patience(&self) -> Option<Duration> {
        let at = match self.shard.next_wake() {
            // The files' thread does not say when it has room.
            wake if !self.ordered.is_empty() => {
                wake.unwrap_or(u64::MAX).min(self.origin.elapsed().as_nanos() as u64 + ORDER_AGAIN.as_nanos() as u64)
            }
            wake => wake?,
        };
        Some(Duration::from_nanos(at.saturating_sub(self.origin.elapsed().as_nanos() as u64)))
    }

    /// Lets packets gather until `until`, but not beyond what is due.
    fn rest(&self, until: Option<u64>) {
        let Some(until) = until else { return };
        let until = self.shard.next_wake().map_or(until, |due| due.min(until));
        let left = until.saturating_sub(self.origin.elapsed().as_nanos() as u64);
        if left > 0 {
            std::thread::sleep(Duration::from_nanos(left));
        }
    }

    fn flush(&mut self, sink: &impl Fn(Event)) {
        while let Some(output) = self.shard.poll_record() {
            self.ordered.push_back(Order::Record(self.number, output));
        }
        while let Some(event) = self.shard.poll_event() {
            match event {
                // `Engine::create` has told it.
                Event::Created { .. } => {}
                // Told when its file is complete.
                Event::RecordEnded { .. } => self.ordered.push_back(Order::Tell(Box::new(event))),
                event => sink(event),
            }
        }
        self.order();
        for id in self.refused.drain(..) {
            let error = format!("a command was refused: {HELD_COMMANDS} wait for the endpoint to arrive on its shard");
            sink(Event::Failed { id, error });
        }
    }

    /// Hands over what the files' thread has room for; the rest waits here, in blocks that the shard counts.
    fn order(&mut self) {
        while let Some(order) = self.ordered.pop_front() {
            if let Err(mpsc::TrySendError::Full(order)) = self.orders.try_send(order) {
                return self.ordered.push_front(order);
            }
        }
    }

    /// Endpoints go when their events have gone, so that nothing about them is told out of order.
    fn hand_over(&mut self) {
        for (to, message) in self.leaving.drain(..) {
            if let Some(inbox) = self.inboxes.get(to) {
                // A shard that has stopped drops it, as it drops its own.
                let _ = inbox.push(message);
            }
        }
    }

    /// Takes one packet of each socket that is ready, and says how many. A socket that has more is ready again at the
    /// next look, which is at once: to ask each whether it is empty would cost a system call a packet. So a socket that
    /// is flooded holds up no other, nor the tick.
    fn receive(&mut self, ready: &[epoll::Event], buffer: &mut [u8; MAX_DATAGRAM]) -> usize {
        let now = self.now();
        let mut packets = 0;
        for token in ready.iter().map(|event| event.data.u64()).filter(|token| *token != INBOX_TOKEN) {
            let Some((leg, channel, from, length)) = self.sockets.receive(token, buffer) else { continue };
            let packet = buffer.get(..length).unwrap_or_default();
            self.shard.receive_at(leg, channel, from, packet, now, &mut self.sockets);
            packets += 1;
        }
        packets
    }

    /// How many were there; what is beyond a turn's waits until sockets and tick have had theirs.
    fn messages(&mut self) -> usize {
        for taken in 0..MESSAGES_A_TURN {
            let Some(message) = self.receiver.next() else { return taken };
            self.message(message);
        }
        MESSAGES_A_TURN
    }

    fn message(&mut self, message: Message) {
        if self.must_wait(&message) { self.hold(message) } else { self.obey(message) }
    }

    /// It is about an endpoint that is on its way here, or about one that a message which waits is about.
    fn must_wait(&self, message: &Message) -> bool {
        if self.expected.is_empty() {
            return false;
        }
        message
            .about()
            .into_iter()
            .flatten()
            .any(|id| self.expected.contains(&id) || self.held.iter().any(|held| held.about().contains(&Some(id))))
    }

    fn hold(&mut self, message: Message) {
        if let Message::Command(command) = &message
            && !matches!(command, Command::Close { .. })
            && self.held.len() >= HELD_COMMANDS
        {
            return self.refused.push(command.id());
        }
        self.held.push(message);
    }

    fn obey(&mut self, message: Message) {
        match message {
            Message::Command(command) => {
                let now = self.now();
                self.shard.command(command, now, &mut self.sockets);
            }
            Message::Create { id, rtp_port, pair } => {
                let now = self.now();
                self.sockets.prepare(pair);
                self.shard.command(Command::Create { id, rtp_port }, now, &mut self.sockets);
                self.sockets.discard_prepared();
            }
            Message::Expect(id) => {
                self.expected.insert(id);
            }
            Message::Move { id, to } => self.give(id, to),
            Message::Adopt { id, endpoint } => self.adopt(id, endpoint),
            Message::Recycle(block) => self.shard.recycle(block),
            Message::RecordFailed { id, record, error } => {
                let now = self.now();
                self.shard.fail_record(id, record, error, now, &mut self.sockets);
            }
            Message::Report(reply) => drop(reply.send(self.report())),
            Message::Stop => self.stopping = true,
        }
    }

    fn report(&self) -> ShardReport {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        ShardReport {
            shard: self.number,
            stats: self.shard.stats().clone(),
            waiting: self.receiver.waiting(),
            held: self.held.len(),
            unwritten: self.ordered.len(),
            direct: self.sockets.direct(),
            cpu_ns: cpu.tv_sec as u64 * 1_000_000_000 + cpu.tv_nsec as u64,
        }
    }

    fn give(&mut self, id: EndpointId, to: usize) {
        let leg = self.shard.leg(id);
        let pair = leg.and_then(|leg| self.sockets.detach(leg.slot));
        let endpoint = pair.and_then(|pair| Some(Box::new((self.shard.take(id)?, pair))));
        self.leaving.push((to, Message::Adopt { id, endpoint }));
    }

    fn adopt(&mut self, id: EndpointId, endpoint: Option<Box<(EndpointState, Pair)>>) {
        if let Some((state, pair)) = endpoint.map(|endpoint| *endpoint) {
            let leg = self.shard.adopt(state);
            if let Err(error) = self.sockets.attach(leg.slot, pair) {
                tracing::error!(shard = self.number, endpoint = id.0, %error, "a moved endpoint cannot be watched");
            }
        }
        self.expected.remove(&id);
        for message in std::mem::take(&mut self.held) {
            self.message(message);
        }
    }

    fn close_all(&mut self) {
        let now = self.now();
        for id in self.shard.ids() {
            self.shard.command(Command::Close { id }, now, &mut self.sockets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRETCH: u64 = REST.as_nanos() as u64;

    #[test]
    fn it_rests_to_the_end_of_a_stretch_in_which_packets_come_thick() {
        let mut rests = Rests::default();
        assert_eq!(rests.after(1, 0, 10 * STRETCH + 1), None, "one packet is taken as it comes");
        assert_eq!(rests.after(0, 1, 10 * STRETCH + 2), Some(11 * STRETCH));
        assert_eq!(rests.after(0, 0, 11 * STRETCH), None, "a new stretch begins anew");
        assert_eq!(rests.after(5, 0, 11 * STRETCH + 9), Some(12 * STRETCH));
    }

    #[test]
    fn it_rests_for_longer_once_nothing_but_messages_has_come_for_a_packet_time() {
        let mut rests = Rests::default();
        assert_eq!(rests.after(1, 1, 10 * STRETCH), Some(11 * STRETCH));
        assert_eq!(rests.after(0, 2, (10 + QUIET_STRETCHES) * STRETCH), Some((11 + QUIET_STRETCHES) * STRETCH));
        let (quiet, longer) = (12 + QUIET_STRETCHES, MESSAGES_REST.as_nanos() as u64);
        let next = (quiet * STRETCH / longer + 1) * longer;
        assert_eq!(rests.after(0, 2, quiet * STRETCH), Some(next), "the end of a longer stretch");
        assert_eq!(rests.after(1, 1, (quiet + 2) * STRETCH), Some((quiet + 3) * STRETCH), "somebody speaks");
    }

    #[test]
    fn a_packet_now_and_then_is_never_waited_with() {
        let mut rests = Rests::default();
        assert!((0..1000).all(|packet| rests.after(1, 0, packet * STRETCH).is_none()));
    }
}
