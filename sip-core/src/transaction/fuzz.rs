//! The body of the fuzz target `transaction_ops`, which the property tests run too: one transaction of any kind and a list
//! of inputs. Compiled with the crate, so that a change of interface breaks its build.
//!
//! What must hold, whatever came: each state runs its own timers and no other; a machine that has ended does nothing; a
//! user hears one last word, a peer one kind of final response; and once every timer has run, nothing is left that does
//! not wait for its user.

use super::{
    Action, Class, Client, ClientInput, Intervals, InviteClient, InviteServer, NonInviteClient, NonInviteServer,
    Server, ServerInput, Timer,
};
use std::collections::BTreeSet;

/// More timers than these cannot follow one another when nothing else happens: a machine has two at most, and gives up
/// after 64·T1.
const MAX_FIRED: u32 = 100;

/// Runs one input: its first byte says which machine over which transport, each further one what happens to it.
///
/// # Panics
/// Where something does not hold that must: that is its purpose.
pub fn transaction_ops(data: &[u8]) {
    let Some((kind, inputs)) = data.split_first() else { return };
    let (invite, intervals) = (kind & 1 == 0, Intervals::defaults(kind & 2 != 0));
    if kind & 4 == 0 {
        client(invite, &intervals, inputs);
    } else {
        server(invite, &intervals, inputs);
    }
}

fn client(invite: bool, intervals: &Intervals, inputs: &[u8]) {
    let (mut client, begun) = Client::begin(invite, intervals);
    let mut running = Running::default();
    running.apply(&begun);
    let mut timeouts = 0;
    for input in inputs {
        let Some(input) = running.client_input(*input) else { continue };
        let was_terminated = client.is_terminated();
        let (next, actions) = client.on(input, intervals);
        running.apply(&actions);
        client = next;
        running.assert_of(client_timers(&client, intervals.reliable), &client);
        assert!(!was_terminated || actions.is_empty(), "it has ended, and acts");
        timeouts += actions.iter().filter(|action| matches!(action, Action::TimedOut)).count();
    }
    assert!(timeouts <= 1, "it has timed out {timeouts} times");
    running.run_out(|timer| {
        let (next, actions) = client.on(ClientInput::Fired(timer), intervals);
        client = next;
        actions
    });
    assert!(client.is_terminated() || matches!(client, Client::Invite(InviteClient::Proceeding(_))), "{client:?}");
}

fn server(invite: bool, intervals: &Intervals, inputs: &[u8]) {
    let (mut server, begun) = Server::begin(invite);
    let mut running = Running::default();
    running.apply(&begun);
    let (mut failures, mut successes) = (0, 0);
    for input in inputs {
        let Some(input) = running.server_input(*input) else { continue };
        let was_terminated = server.is_terminated();
        let (next, actions) = server.on(input, intervals);
        running.apply(&actions);
        server = next;
        running.assert_of(server_timers(&server, intervals.reliable), &server);
        assert!(!was_terminated || actions.is_empty(), "it has ended, and acts");
        if actions.contains(&Action::Send) {
            failures += u32::from(input == ServerInput::Reply(Class::Failure));
            successes += u32::from(input == ServerInput::Reply(Class::Success));
        }
    }
    // A 2xx of an INVITE comes again from the user, not from here (RFC 6026 §7.1).
    assert!(failures <= 1 && (failures == 0 || successes == 0) && (invite || successes <= 1));
    running.run_out(|timer| {
        let (next, actions) = server.on(ServerInput::Fired(timer), intervals);
        server = next;
        actions
    });
    let waits_for_its_user = matches!(
        server,
        Server::Invite(InviteServer::Proceeding(_))
            | Server::NonInvite(NonInviteServer::Trying(_) | NonInviteServer::Proceeding(_))
    );
    assert!(server.is_terminated() || waits_for_its_user, "{server:?}");
}

/// The timers that run, kept as whoever drives a machine keeps them.
#[derive(Default)]
struct Running(BTreeSet<Timer>);

impl Running {
    fn apply(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Start(timer, after) => {
                    assert!(!after.is_zero(), "{timer:?} of no length");
                    self.0.insert(*timer);
                }
                Action::Stop(timer) => {
                    self.0.remove(timer);
                }
                _ => {}
            }
        }
    }

    /// A timer that runs, by its place among them; it has fired.
    fn fire(&mut self, choice: u8) -> Option<Timer> {
        let timer = self.0.iter().nth(usize::from(choice) % self.0.len().max(1)).copied()?;
        self.0.remove(&timer);
        Some(timer)
    }

    fn client_input(&mut self, byte: u8) -> Option<ClientInput> {
        match byte % 8 {
            0..=2 => Some(ClientInput::Response(class(byte))),
            3..=5 => self.fire(byte >> 3).map(ClientInput::Fired),
            6 => Some(ClientInput::TransportError),
            _ => Some(ClientInput::Abandon),
        }
    }

    fn server_input(&mut self, byte: u8) -> Option<ServerInput> {
        match byte % 8 {
            0..=2 => Some(ServerInput::Reply(class(byte))),
            3 | 4 => self.fire(byte >> 3).map(ServerInput::Fired),
            5 => Some(ServerInput::Request),
            6 => Some(ServerInput::Ack),
            _ => Some(ServerInput::TransportError),
        }
    }

    fn assert_of(&self, allowed: &[&[Timer]], state: &dyn std::fmt::Debug) {
        let own = allowed.iter().any(|set| set.iter().eq(&self.0));
        assert!(own, "{state:?} runs {:?}", self.0);
    }

    /// Nothing else happens any more.
    fn run_out(&mut self, mut fire: impl FnMut(Timer) -> super::Actions) {
        for _ in 0..MAX_FIRED {
            let Some(timer) = self.0.pop_last() else { return };
            self.apply(&fire(timer));
        }
        assert!(self.0.is_empty(), "{:?} run for ever", self.0);
    }
}

const fn class(byte: u8) -> Class {
    match byte % 8 {
        0 => Class::Provisional,
        1 => Class::Success,
        _ => Class::Failure,
    }
}

/// The sets of timers that may run in a client's state.
const fn client_timers(client: &Client, reliable: bool) -> &'static [&'static [Timer]] {
    use Timer::{A, B, D, E, F, K, M};
    match client {
        Client::Invite(InviteClient::Calling(_)) if reliable => &[&[B]],
        Client::Invite(InviteClient::Calling(_)) => &[&[A, B]],
        Client::Invite(InviteClient::Completed(_)) => &[&[D]],
        Client::Invite(InviteClient::Accepted(_)) => &[&[M]],
        Client::NonInvite(NonInviteClient::Trying(_) | NonInviteClient::Proceeding(_)) if reliable => &[&[F]],
        Client::NonInvite(NonInviteClient::Trying(_) | NonInviteClient::Proceeding(_)) => &[&[E, F]],
        Client::NonInvite(NonInviteClient::Completed(_)) => &[&[K]],
        Client::Invite(InviteClient::Proceeding(_) | InviteClient::Terminated)
        | Client::NonInvite(NonInviteClient::Terminated) => &[&[]],
    }
}

/// The sets of timers that may run in a server's state.
const fn server_timers(server: &Server, reliable: bool) -> &'static [&'static [Timer]] {
    use Timer::{G, H, I, J, L, Trying};
    match server {
        Server::Invite(InviteServer::Proceeding(_)) => &[&[], &[Trying]],
        Server::Invite(InviteServer::Completed(_)) if reliable => &[&[H]],
        Server::Invite(InviteServer::Completed(_)) => &[&[G, H]],
        Server::Invite(InviteServer::Confirmed(_)) => &[&[I]],
        Server::Invite(InviteServer::Accepted(_)) => &[&[L]],
        Server::NonInvite(NonInviteServer::Completed(_)) => &[&[J]],
        Server::NonInvite(
            NonInviteServer::Trying(_) | NonInviteServer::Proceeding(_) | NonInviteServer::Terminated,
        )
        | Server::Invite(InviteServer::Terminated) => &[&[]],
    }
}
