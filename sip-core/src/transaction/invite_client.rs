//! The INVITE client transaction: RFC 3261 §17.1.1 and Figure 5, with the Accepted state of RFC 6026 §7.2.
//!
//! It never acknowledges a 2xx: that ACK is a request of the UAC core's own (§13.2.2.4).

use super::{Action, Actions, Class, ClientInput, Intervals, Timer};
use smallvec::smallvec;
use std::time::Duration;

/// Where an INVITE that we sent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteClient {
    /// Sent, nothing heard.
    Calling(Calling),
    /// A provisional was heard.
    Proceeding(Proceeding),
    /// A 300–699 was heard and acknowledged; repeats of it are absorbed.
    Completed(Completed),
    /// A 2xx was heard; repeats of it, and those of other forks, go up (RFC 6026).
    Accepted(Accepted),
    /// To be forgotten.
    Terminated,
}

/// Sent, nothing heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calling {
    /// The present interval of Timer A.
    a: Duration,
}

/// A provisional was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proceeding;

/// A 300–699 was heard and acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed;

/// A 2xx was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted;

impl InviteClient {
    /// INVITE from TU: send it, start timers A (unreliable transports) and B.
    #[must_use]
    pub fn begin(i: &Intervals) -> (Self, Actions) {
        let mut actions: Actions = smallvec![Action::Send];
        if !i.reliable {
            actions.push(Action::Start(Timer::A, i.t1));
        }
        actions.push(Action::Start(Timer::B, i.patience()));
        (Self::Calling(Calling { a: i.t1 }), actions)
    }

    /// One arrow of the figure; what the figure does not draw changes nothing.
    #[must_use]
    pub fn on(self, input: ClientInput, i: &Intervals) -> (Self, Actions) {
        match self {
            Self::Calling(state) => state.on(input, i),
            Self::Proceeding(state) => state.on(input, i),
            Self::Completed(state) => state.on(input),
            Self::Accepted(state) => state.on(input),
            Self::Terminated => (self, Actions::new()),
        }
    }
}

impl Calling {
    fn on(self, input: ClientInput, i: &Intervals) -> (InviteClient, Actions) {
        match input {
            ClientInput::Fired(Timer::A) => {
                // §17.1.1.2: doubled each time, without the cap of T2.
                let a = self.a.saturating_mul(2);
                (InviteClient::Calling(Self { a }), smallvec![Action::Resend, Action::Start(Timer::A, a)])
            }
            ClientInput::Fired(Timer::B) => {
                (InviteClient::Terminated, smallvec![Action::Stop(Timer::A), Action::TimedOut])
            }
            ClientInput::TransportError => (
                InviteClient::Terminated,
                smallvec![Action::Stop(Timer::A), Action::Stop(Timer::B), Action::TransportFailed],
            ),
            ClientInput::Abandon => {
                (InviteClient::Terminated, smallvec![Action::Stop(Timer::A), Action::Stop(Timer::B)])
            }
            ClientInput::Response(class) => {
                let stopped: Actions = smallvec![Action::Stop(Timer::A), Action::Stop(Timer::B)];
                heard(class, stopped, i)
            }
            ClientInput::Fired(_) => (InviteClient::Calling(self), Actions::new()),
        }
    }
}

impl Proceeding {
    fn on(self, input: ClientInput, i: &Intervals) -> (InviteClient, Actions) {
        match input {
            ClientInput::Response(class) => heard(class, Actions::new(), i),
            ClientInput::TransportError => (InviteClient::Terminated, smallvec![Action::TransportFailed]),
            ClientInput::Abandon => (InviteClient::Terminated, Actions::new()),
            ClientInput::Fired(_) => (InviteClient::Proceeding(self), Actions::new()),
        }
    }
}

impl Completed {
    fn on(self, input: ClientInput) -> (InviteClient, Actions) {
        match input {
            ClientInput::Response(Class::Failure) => (InviteClient::Completed(self), smallvec![Action::SendAck]),
            ClientInput::Fired(Timer::D) => (InviteClient::Terminated, Actions::new()),
            ClientInput::TransportError => {
                (InviteClient::Terminated, smallvec![Action::Stop(Timer::D), Action::TransportFailed])
            }
            _ => (InviteClient::Completed(self), Actions::new()),
        }
    }
}

impl Accepted {
    fn on(self, input: ClientInput) -> (InviteClient, Actions) {
        match input {
            ClientInput::Response(Class::Success) => (InviteClient::Accepted(self), smallvec![Action::Deliver]),
            ClientInput::Fired(Timer::M) => (InviteClient::Terminated, Actions::new()),
            _ => (InviteClient::Accepted(self), Actions::new()),
        }
    }
}

/// The arrows that Calling and Proceeding share: 1xx, 2xx and 300–699.
fn heard(class: Class, mut actions: Actions, i: &Intervals) -> (InviteClient, Actions) {
    match class {
        Class::Provisional => {
            actions.push(Action::Deliver);
            (InviteClient::Proceeding(Proceeding), actions)
        }
        Class::Success => {
            actions.extend([Action::Deliver, Action::Start(Timer::M, i.patience())]);
            (InviteClient::Accepted(Accepted), actions)
        }
        Class::Failure => {
            actions.extend([Action::SendAck, Action::Deliver]);
            let d = i.timer_d();
            if d.is_zero() {
                return (InviteClient::Terminated, actions);
            }
            actions.push(Action::Start(Timer::D, d));
            (InviteClient::Completed(Completed), actions)
        }
    }
}
