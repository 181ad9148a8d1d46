//! No sequence of inputs takes a transaction to an illegal state, lets it act out of turn, or leaves a timer behind.

use proptest::prelude::*;
use sip_core::transaction::{
    Action, Class, Client, ClientInput, Intervals, InviteClient, InviteServer, NonInviteClient, NonInviteServer,
    Server, ServerInput, Timer,
};
use std::collections::BTreeSet;

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Provisional), Just(Class::Success), Just(Class::Failure)]
}

fn timer() -> impl Strategy<Value = Timer> {
    use Timer::*;
    prop::sample::select(vec![A, B, D, E, F, G, H, I, J, K, L, M, Trying])
}

fn client_input() -> impl Strategy<Value = ClientInput> {
    prop_oneof![
        4 => class().prop_map(ClientInput::Response),
        4 => timer().prop_map(ClientInput::Fired),
        1 => Just(ClientInput::TransportError),
        1 => Just(ClientInput::Abandon),
    ]
}

fn server_input() -> impl Strategy<Value = ServerInput> {
    prop_oneof![
        3 => class().prop_map(ServerInput::Reply),
        3 => timer().prop_map(ServerInput::Fired),
        2 => Just(ServerInput::Request),
        2 => Just(ServerInput::Ack),
        1 => Just(ServerInput::TransportError),
    ]
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

    fn is(&self, allowed: &[&[Timer]]) -> bool {
        allowed.iter().any(|set| set.iter().copied().eq(self.0.iter().copied()))
    }
}

fn client_timers_are_the_states_own(client: &Client, running: &Running, reliable: bool) -> bool {
    use Timer::*;
    match client {
        Client::Invite(InviteClient::Calling(_)) => running.is(if reliable { &[&[B]] } else { &[&[A, B]] }),
        Client::Invite(InviteClient::Completed(_)) => running.is(&[&[D]]),
        Client::Invite(InviteClient::Accepted(_)) => running.is(&[&[M]]),
        Client::NonInvite(NonInviteClient::Trying(_) | NonInviteClient::Proceeding(_)) => {
            running.is(if reliable { &[&[F]] } else { &[&[E, F]] })
        }
        Client::NonInvite(NonInviteClient::Completed(_)) => running.is(&[&[K]]),
        Client::Invite(InviteClient::Proceeding(_) | InviteClient::Terminated)
        | Client::NonInvite(NonInviteClient::Terminated) => running.is(&[&[]]),
    }
}

fn server_timers_are_the_states_own(server: &Server, running: &Running, reliable: bool) -> bool {
    use Timer::*;
    match server {
        Server::Invite(InviteServer::Proceeding(_)) => running.is(&[&[], &[Trying]]),
        Server::Invite(InviteServer::Completed(_)) => running.is(if reliable { &[&[H]] } else { &[&[G, H]] }),
        Server::Invite(InviteServer::Confirmed(_)) => running.is(&[&[I]]),
        Server::Invite(InviteServer::Accepted(_)) => running.is(&[&[L]]),
        Server::NonInvite(NonInviteServer::Completed(_)) => running.is(&[&[J]]),
        Server::NonInvite(
            NonInviteServer::Trying(_) | NonInviteServer::Proceeding(_) | NonInviteServer::Terminated,
        )
        | Server::Invite(InviteServer::Terminated) => running.is(&[&[]]),
    }
}

/// Timers that are not running cannot fire.
fn can_fire(running: &mut Running, timer: Timer) -> bool {
    running.0.remove(&timer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_client_keeps_only_its_states_timers_and_speaks_once(
        invite: bool,
        reliable: bool,
        inputs in prop::collection::vec(client_input(), 0..40),
    ) {
        let intervals = Intervals::defaults(reliable);
        let (mut client, begun) = Client::begin(invite, &intervals);
        let mut running = Running::default();
        running.apply(&begun);
        let mut last_words = 0;
        for input in inputs {
            if let ClientInput::Fired(timer) = input && !can_fire(&mut running, timer) {
                continue;
            }
            let was_terminated = client.is_terminated();
            let (next, actions) = client.on(input, &intervals);
            running.apply(&actions);
            client = next;
            prop_assert!(client_timers_are_the_states_own(&client, &running, reliable), "{client:?} {:?}", running.0);
            prop_assert!(!was_terminated || actions.is_empty());
            last_words += actions.iter().filter(|a| matches!(a, Action::TimedOut)).count();
        }
        prop_assert!(last_words <= 1);
        // Let every timer run out: what is not waiting for its user ends.
        for _ in 0..100 {
            let Some(timer) = running.0.iter().next_back().copied() else { break };
            running.0.remove(&timer);
            let (next, actions) = client.on(ClientInput::Fired(timer), &intervals);
            running.apply(&actions);
            client = next;
        }
        prop_assert!(client.is_terminated() || matches!(client, Client::Invite(InviteClient::Proceeding(_))));
        prop_assert!(running.0.is_empty());
    }

    #[test]
    fn a_server_keeps_only_its_states_timers_and_sends_one_final_response(
        invite: bool,
        reliable: bool,
        inputs in prop::collection::vec(server_input(), 0..40),
    ) {
        let intervals = Intervals::defaults(reliable);
        let (mut server, begun) = Server::begin(invite);
        let mut running = Running::default();
        running.apply(&begun);
        let mut failures = 0;
        let mut successes = 0;
        for input in inputs {
            if let ServerInput::Fired(timer) = input && !can_fire(&mut running, timer) {
                continue;
            }
            let was_terminated = server.is_terminated();
            let (next, actions) = server.on(input, &intervals);
            running.apply(&actions);
            server = next;
            prop_assert!(server_timers_are_the_states_own(&server, &running, reliable), "{server:?} {:?}", running.0);
            prop_assert!(!was_terminated || actions.is_empty());
            if actions.contains(&Action::Send) {
                match input {
                    ServerInput::Reply(Class::Failure) => failures += 1,
                    ServerInput::Reply(Class::Success) => successes += 1,
                    _ => {}
                }
            }
        }
        prop_assert!(failures <= 1);
        prop_assert!(failures == 0 || successes == 0, "one kind of final response");
        prop_assert!(invite || successes <= 1);
        for _ in 0..100 {
            let Some(timer) = running.0.iter().next_back().copied() else { break };
            running.0.remove(&timer);
            let (next, actions) = server.on(ServerInput::Fired(timer), &intervals);
            running.apply(&actions);
            server = next;
        }
        let waits_for_its_user = matches!(
            server,
            Server::Invite(InviteServer::Proceeding(_))
                | Server::NonInvite(NonInviteServer::Trying(_) | NonInviteServer::Proceeding(_))
        );
        prop_assert!(server.is_terminated() || waits_for_its_user);
        prop_assert!(running.0.is_empty());
    }
}
