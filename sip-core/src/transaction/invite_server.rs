//! The INVITE server transaction: RFC 3261 §17.2.1 and Figure 7, as RFC 6026 §7.1 redraws it.
//!
//! It never retransmits a 2xx: that is the UAS core's (§13.3.1.4), which hands each copy down here.

use super::{Action, Actions, Class, Intervals, ServerInput, TRYING_AFTER, Timer};
use smallvec::smallvec;
use std::time::Duration;

/// Where an INVITE that we received stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteServer {
    /// No final response yet.
    Proceeding(Proceeding),
    /// A 300–699 was sent and is repeated until its ACK.
    Completed(Completed),
    /// Acknowledged; repeats of the ACK are absorbed.
    Confirmed(Confirmed),
    /// A 2xx was sent; repeats of the INVITE are absorbed, ACKs go up (RFC 6026).
    Accepted(Accepted),
    /// To be forgotten.
    Terminated,
}

/// No final response yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proceeding {
    /// A provisional was sent, so that 100 (Trying) needs not be.
    answered: bool,
}

/// A 300–699 was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The present interval of Timer G.
    g: Duration,
}

/// The ACK came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed;

/// A 2xx was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted;

impl InviteServer {
    /// INVITE: pass it to the TU; 100 (Trying) follows if the TU is silent for 200 ms.
    #[must_use]
    pub fn begin() -> (Self, Actions) {
        let actions = smallvec![Action::Deliver, Action::Start(Timer::Trying, TRYING_AFTER)];
        (Self::Proceeding(Proceeding { answered: false }), actions)
    }

    /// One arrow of the figure; what the figure does not draw changes nothing.
    #[must_use]
    pub fn on(self, input: ServerInput, i: &Intervals) -> (Self, Actions) {
        match self {
            Self::Proceeding(state) => state.on(input, i),
            Self::Completed(state) => state.on(input, i),
            Self::Confirmed(state) => state.on(input),
            Self::Accepted(state) => state.on(input),
            Self::Terminated => (self, Actions::new()),
        }
    }
}

impl Proceeding {
    fn on(self, input: ServerInput, i: &Intervals) -> (InviteServer, Actions) {
        let stay = InviteServer::Proceeding(self);
        match input {
            ServerInput::Request if self.answered => (stay, smallvec![Action::Resend]),
            // The peer is retransmitting already: §17.2.1 wants the 100 to stop that.
            ServerInput::Request => (
                InviteServer::Proceeding(Self { answered: true }),
                smallvec![Action::Stop(Timer::Trying), Action::SendTrying],
            ),
            ServerInput::Fired(Timer::Trying) if !self.answered => {
                (InviteServer::Proceeding(Self { answered: true }), smallvec![Action::SendTrying])
            }
            ServerInput::Reply(class) => self.reply(class, i),
            ServerInput::TransportError => (stay, smallvec![Action::TransportFailed]),
            ServerInput::Ack | ServerInput::Fired(_) => (stay, Actions::new()),
        }
    }

    fn reply(self, class: Class, i: &Intervals) -> (InviteServer, Actions) {
        let mut actions: Actions = smallvec![Action::Stop(Timer::Trying), Action::Send];
        match class {
            Class::Provisional => (InviteServer::Proceeding(Self { answered: true }), actions),
            Class::Success => {
                actions.push(Action::Start(Timer::L, i.patience()));
                (InviteServer::Accepted(Accepted), actions)
            }
            Class::Failure => {
                if !i.reliable {
                    actions.push(Action::Start(Timer::G, i.t1));
                }
                actions.push(Action::Start(Timer::H, i.patience()));
                (InviteServer::Completed(Completed { g: i.t1 }), actions)
            }
        }
    }
}

impl Completed {
    fn on(self, input: ServerInput, i: &Intervals) -> (InviteServer, Actions) {
        let stay = InviteServer::Completed(self);
        match input {
            ServerInput::Request => (stay, smallvec![Action::Resend]),
            ServerInput::Fired(Timer::G) => {
                let g = i.backed_off(self.g);
                (InviteServer::Completed(Self { g }), smallvec![Action::Resend, Action::Start(Timer::G, g)])
            }
            ServerInput::Fired(Timer::H) => {
                (InviteServer::Terminated, smallvec![Action::Stop(Timer::G), Action::TimedOut])
            }
            ServerInput::Ack => acknowledged(i),
            ServerInput::TransportError => (stay, smallvec![Action::TransportFailed]),
            ServerInput::Reply(_) | ServerInput::Fired(_) => (stay, Actions::new()),
        }
    }
}

impl Confirmed {
    fn on(self, input: ServerInput) -> (InviteServer, Actions) {
        match input {
            ServerInput::Fired(Timer::I) => (InviteServer::Terminated, Actions::new()),
            _ => (InviteServer::Confirmed(self), Actions::new()),
        }
    }
}

impl Accepted {
    fn on(self, input: ServerInput) -> (InviteServer, Actions) {
        let stay = InviteServer::Accepted(self);
        match input {
            ServerInput::Reply(Class::Success) => (stay, smallvec![Action::Send]),
            ServerInput::Ack => (stay, smallvec![Action::Deliver]),
            ServerInput::TransportError => (stay, smallvec![Action::TransportFailed]),
            ServerInput::Fired(Timer::L) => (InviteServer::Terminated, Actions::new()),
            ServerInput::Request | ServerInput::Reply(_) | ServerInput::Fired(_) => (stay, Actions::new()),
        }
    }
}

/// ACK in Completed: Timer I over UDP, the end on a stream.
fn acknowledged(i: &Intervals) -> (InviteServer, Actions) {
    let mut actions: Actions = smallvec![Action::Stop(Timer::G), Action::Stop(Timer::H)];
    let linger = i.linger();
    if linger.is_zero() {
        return (InviteServer::Terminated, actions);
    }
    actions.push(Action::Start(Timer::I, linger));
    (InviteServer::Confirmed(Confirmed), actions)
}
