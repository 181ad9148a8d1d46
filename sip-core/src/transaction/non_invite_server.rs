//! The non-INVITE server transaction: RFC 3261 §17.2.2 and Figure 8.
//!
//! RFC 4320 §4.1 forbids two things, and its user must not ask for them: a provisional other than 100 (the machine
//! cannot tell them apart), and a 408.

use super::{Action, Actions, Class, Intervals, ServerInput, Timer};
use smallvec::smallvec;

/// Where a request other than INVITE and ACK that we received stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteServer {
    /// With its user, nothing said yet.
    Trying(Trying),
    /// 100 was sent.
    Proceeding(Proceeding),
    /// A final response was sent, and is for every repeat of the request.
    Completed(Completed),
    /// To be forgotten.
    Terminated,
}

/// With its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trying;

/// 100 was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proceeding;

/// A final response was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed;

impl NonInviteServer {
    /// Request: pass it to the TU.
    #[must_use]
    pub fn begin() -> (Self, Actions) {
        (Self::Trying(Trying), smallvec![Action::Deliver])
    }

    /// One arrow of the figure; what the figure does not draw changes nothing.
    #[must_use]
    pub fn on(self, input: ServerInput, i: &Intervals) -> (Self, Actions) {
        match self {
            Self::Trying(state) => state.on(input, i),
            Self::Proceeding(state) => state.on(input, i),
            Self::Completed(state) => state.on(input),
            Self::Terminated => (self, Actions::new()),
        }
    }
}

impl Trying {
    fn on(self, input: ServerInput, i: &Intervals) -> (NonInviteServer, Actions) {
        match input {
            ServerInput::Reply(class) => reply(class, i),
            // §17.2.2: a repeat in Trying is discarded.
            _ => (NonInviteServer::Trying(self), Actions::new()),
        }
    }
}

impl Proceeding {
    fn on(self, input: ServerInput, i: &Intervals) -> (NonInviteServer, Actions) {
        let stay = NonInviteServer::Proceeding(self);
        match input {
            ServerInput::Request => (stay, smallvec![Action::Resend]),
            ServerInput::Reply(class) => reply(class, i),
            ServerInput::TransportError => (NonInviteServer::Terminated, smallvec![Action::TransportFailed]),
            ServerInput::Ack | ServerInput::Fired(_) => (stay, Actions::new()),
        }
    }
}

impl Completed {
    fn on(self, input: ServerInput) -> (NonInviteServer, Actions) {
        let stay = NonInviteServer::Completed(self);
        match input {
            ServerInput::Request => (stay, smallvec![Action::Resend]),
            ServerInput::Fired(Timer::J) => (NonInviteServer::Terminated, Actions::new()),
            ServerInput::TransportError => {
                (NonInviteServer::Terminated, smallvec![Action::Stop(Timer::J), Action::TransportFailed])
            }
            ServerInput::Reply(_) | ServerInput::Ack | ServerInput::Fired(_) => (stay, Actions::new()),
        }
    }
}

/// The user's response, in Trying and Proceeding.
fn reply(class: Class, i: &Intervals) -> (NonInviteServer, Actions) {
    let mut actions: Actions = smallvec![Action::Send];
    match class {
        Class::Provisional => (NonInviteServer::Proceeding(Proceeding), actions),
        Class::Success | Class::Failure if i.reliable => (NonInviteServer::Terminated, actions),
        Class::Success | Class::Failure => {
            actions.push(Action::Start(Timer::J, i.patience()));
            (NonInviteServer::Completed(Completed), actions)
        }
    }
}
