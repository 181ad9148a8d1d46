//! The non-INVITE client transaction: RFC 3261 §17.1.2 and Figure 6.
//!
//! RFC 4320 §4.2 adds nothing here: a late response finds no transaction and is dropped by whoever matches it.

use super::{Action, Actions, Class, ClientInput, Intervals, Timer};
use smallvec::smallvec;
use std::time::Duration;

/// Where a request other than INVITE and ACK that we sent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteClient {
    /// Sent, nothing heard.
    Trying(Trying),
    /// A provisional was heard.
    Proceeding(Proceeding),
    /// A final response was heard; repeats of it are absorbed.
    Completed(Completed),
    /// To be forgotten.
    Terminated,
}

/// Sent, nothing heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trying {
    /// The present interval of Timer E.
    e: Duration,
}

/// A provisional was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proceeding;

/// A final response was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed;

impl NonInviteClient {
    /// Request from TU: send it, start timers E (unreliable transports) and F.
    #[must_use]
    pub fn begin(i: &Intervals) -> (Self, Actions) {
        let mut actions: Actions = smallvec![Action::Send];
        if !i.reliable {
            actions.push(Action::Start(Timer::E, i.t1));
        }
        actions.push(Action::Start(Timer::F, i.patience()));
        (Self::Trying(Trying { e: i.t1 }), actions)
    }

    /// One arrow of the figure; what the figure does not draw changes nothing.
    #[must_use]
    pub fn on(self, input: ClientInput, i: &Intervals) -> (Self, Actions) {
        match self {
            Self::Trying(state) => state.on(input, i),
            Self::Proceeding(state) => state.on(input, i),
            Self::Completed(state) => state.on(input),
            Self::Terminated => (self, Actions::new()),
        }
    }
}

impl Trying {
    fn on(self, input: ClientInput, i: &Intervals) -> (NonInviteClient, Actions) {
        match input {
            ClientInput::Fired(Timer::E) => {
                let e = i.backed_off(self.e);
                (NonInviteClient::Trying(Self { e }), smallvec![Action::Resend, Action::Start(Timer::E, e)])
            }
            // §17.1.2.2: Timer E keeps running through a provisional; its next firing sets it to T2.
            ClientInput::Response(Class::Provisional) => {
                (NonInviteClient::Proceeding(Proceeding), smallvec![Action::Deliver])
            }
            _ => shared(NonInviteClient::Trying(self), input, i),
        }
    }
}

impl Proceeding {
    fn on(self, input: ClientInput, i: &Intervals) -> (NonInviteClient, Actions) {
        let stay = NonInviteClient::Proceeding(self);
        match input {
            ClientInput::Fired(Timer::E) => (stay, smallvec![Action::Resend, Action::Start(Timer::E, i.t2)]),
            ClientInput::Response(Class::Provisional) => (stay, smallvec![Action::Deliver]),
            _ => shared(stay, input, i),
        }
    }
}

impl Completed {
    fn on(self, input: ClientInput) -> (NonInviteClient, Actions) {
        match input {
            ClientInput::Fired(Timer::K) => (NonInviteClient::Terminated, Actions::new()),
            _ => (NonInviteClient::Completed(self), Actions::new()),
        }
    }
}

/// The arrows that Trying and Proceeding share: a final response, Timer F, a transport error.
fn shared(stay: NonInviteClient, input: ClientInput, i: &Intervals) -> (NonInviteClient, Actions) {
    match input {
        ClientInput::Response(Class::Success | Class::Failure) => {
            let mut actions: Actions = smallvec![Action::Stop(Timer::E), Action::Stop(Timer::F), Action::Deliver];
            let k = i.linger();
            if k.is_zero() {
                return (NonInviteClient::Terminated, actions);
            }
            actions.push(Action::Start(Timer::K, k));
            (NonInviteClient::Completed(Completed), actions)
        }
        ClientInput::Fired(Timer::F) => {
            (NonInviteClient::Terminated, smallvec![Action::Stop(Timer::E), Action::TimedOut])
        }
        ClientInput::TransportError => (
            NonInviteClient::Terminated,
            smallvec![Action::Stop(Timer::E), Action::Stop(Timer::F), Action::TransportFailed],
        ),
        ClientInput::Abandon => {
            (NonInviteClient::Terminated, smallvec![Action::Stop(Timer::E), Action::Stop(Timer::F)])
        }
        ClientInput::Response(Class::Provisional) | ClientInput::Fired(_) => (stay, Actions::new()),
    }
}
