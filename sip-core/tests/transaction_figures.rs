//! Each arrow of RFC 3261's figures 5 to 8, as RFC 6026 redraws 5 and 7: one row an arrow, over UDP and over a stream.

use sip_core::transaction::{
    Action::{self, *},
    Class::{Failure, Provisional, Success},
    Client, ClientInput as In, Intervals, InviteClient, InviteServer, NonInviteClient, NonInviteServer, Server,
    ServerInput as Srv, Timer,
};
use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
const PATIENCE: Duration = ms(32_000);
const UDP: Intervals = Intervals::defaults(false);
const TCP: Intervals = Intervals::defaults(true);

fn client_state(client: &Client) -> &'static str {
    match client {
        Client::Invite(InviteClient::Calling(_)) => "Calling",
        Client::NonInvite(NonInviteClient::Trying(_)) => "Trying",
        Client::Invite(InviteClient::Proceeding(_)) | Client::NonInvite(NonInviteClient::Proceeding(_)) => "Proceeding",
        Client::Invite(InviteClient::Completed(_)) | Client::NonInvite(NonInviteClient::Completed(_)) => "Completed",
        Client::Invite(InviteClient::Accepted(_)) => "Accepted",
        Client::Invite(InviteClient::Terminated) | Client::NonInvite(NonInviteClient::Terminated) => "Terminated",
    }
}

fn server_state(server: &Server) -> &'static str {
    match server {
        Server::NonInvite(NonInviteServer::Trying(_)) => "Trying",
        Server::Invite(InviteServer::Proceeding(_)) | Server::NonInvite(NonInviteServer::Proceeding(_)) => "Proceeding",
        Server::Invite(InviteServer::Completed(_)) | Server::NonInvite(NonInviteServer::Completed(_)) => "Completed",
        Server::Invite(InviteServer::Confirmed(_)) => "Confirmed",
        Server::Invite(InviteServer::Accepted(_)) => "Accepted",
        Server::Invite(InviteServer::Terminated) | Server::NonInvite(NonInviteServer::Terminated) => "Terminated",
    }
}

/// How the machine got where the arrow starts, the arrow's label, where it ends, and what is done on the way.
type Row<'a, I> = (&'a [I], I, &'a str, &'a [Action]);

fn check_client(invite: bool, intervals: &Intervals, rows: &[Row<'_, In>]) {
    for (path, input, to, actions) in rows {
        let (mut machine, _) = Client::begin(invite, intervals);
        for step in *path {
            machine = machine.on(*step, intervals).0;
        }
        let (after, done) = machine.on(*input, intervals);
        assert_eq!(client_state(&after), *to, "{path:?} then {input:?}");
        assert_eq!(&done[..], *actions, "{path:?} then {input:?}");
    }
}

fn check_server(invite: bool, intervals: &Intervals, rows: &[Row<'_, Srv>]) {
    for (path, input, to, actions) in rows {
        let (mut machine, _) = Server::begin(invite);
        for step in *path {
            machine = machine.on(*step, intervals).0;
        }
        let (after, done) = machine.on(*input, intervals);
        assert_eq!(server_state(&after), *to, "{path:?} then {input:?}");
        assert_eq!(&done[..], *actions, "{path:?} then {input:?}");
    }
}

const R1: In = In::Response(Provisional);
const R2: In = In::Response(Success);
const R3: In = In::Response(Failure);
const ERR: In = In::TransportError;
const A: In = In::Fired(Timer::A);
const B: In = In::Fired(Timer::B);
const D: In = In::Fired(Timer::D);
const E: In = In::Fired(Timer::E);
const F: In = In::Fired(Timer::F);
const K: In = In::Fired(Timer::K);
const M: In = In::Fired(Timer::M);

#[test]
fn figure_5_invite_client_over_udp() {
    let (machine, begun) = Client::begin(true, &UDP);
    assert_eq!(client_state(&machine), "Calling");
    assert_eq!(&begun[..], [Send, Start(Timer::A, ms(500)), Start(Timer::B, PATIENCE)]);
    check_client(
        true,
        &UDP,
        &[
            // Calling
            (&[], A, "Calling", &[Resend, Start(Timer::A, ms(1000))]),
            (&[A], A, "Calling", &[Resend, Start(Timer::A, ms(2000))]),
            (&[A, A, A, A], A, "Calling", &[Resend, Start(Timer::A, ms(16_000))]),
            (&[], B, "Terminated", &[Stop(Timer::A), TimedOut]),
            (&[], ERR, "Terminated", &[Stop(Timer::A), Stop(Timer::B), TransportFailed]),
            (&[], In::Abandon, "Terminated", &[Stop(Timer::A), Stop(Timer::B)]),
            (&[], R1, "Proceeding", &[Stop(Timer::A), Stop(Timer::B), Deliver]),
            (&[], R2, "Accepted", &[Stop(Timer::A), Stop(Timer::B), Deliver, Start(Timer::M, PATIENCE)]),
            (&[], R3, "Completed", &[Stop(Timer::A), Stop(Timer::B), SendAck, Deliver, Start(Timer::D, PATIENCE)]),
            (&[], D, "Calling", &[]),
            // Proceeding
            (&[R1], R1, "Proceeding", &[Deliver]),
            (&[R1], R2, "Accepted", &[Deliver, Start(Timer::M, PATIENCE)]),
            (&[R1], R3, "Completed", &[SendAck, Deliver, Start(Timer::D, PATIENCE)]),
            (&[R1], ERR, "Terminated", &[TransportFailed]),
            (&[R1], In::Abandon, "Terminated", &[]),
            (&[R1], A, "Proceeding", &[]),
            (&[R1], B, "Proceeding", &[]),
            // Completed
            (&[R3], R3, "Completed", &[SendAck]),
            (&[R3], R1, "Completed", &[]),
            (&[R3], R2, "Completed", &[]),
            (&[R3], ERR, "Terminated", &[Stop(Timer::D), TransportFailed]),
            (&[R3], D, "Terminated", &[]),
            (&[R3], In::Abandon, "Completed", &[]),
            // Accepted (RFC 6026 §7.2)
            (&[R2], R2, "Accepted", &[Deliver]),
            (&[R2], R1, "Accepted", &[]),
            (&[R2], R3, "Accepted", &[]),
            (&[R2], ERR, "Accepted", &[]),
            (&[R2], M, "Terminated", &[]),
            // Terminated
            (&[R2, M], R2, "Terminated", &[]),
        ],
    );
}

#[test]
fn figure_5_invite_client_over_a_stream() {
    let (_, begun) = Client::begin(true, &TCP);
    assert_eq!(&begun[..], [Send, Start(Timer::B, PATIENCE)], "no Timer A (§17.1.1.2)");
    check_client(
        true,
        &TCP,
        &[
            (&[], R3, "Terminated", &[Stop(Timer::A), Stop(Timer::B), SendAck, Deliver]),
            (&[R1], R3, "Terminated", &[SendAck, Deliver]),
            (&[R1], R2, "Accepted", &[Deliver, Start(Timer::M, PATIENCE)]),
        ],
    );
}

#[test]
fn figure_6_non_invite_client_over_udp() {
    let (machine, begun) = Client::begin(false, &UDP);
    assert_eq!(client_state(&machine), "Trying");
    assert_eq!(&begun[..], [Send, Start(Timer::E, ms(500)), Start(Timer::F, PATIENCE)]);
    let finished: &[Action] = &[Stop(Timer::E), Stop(Timer::F), Deliver, Start(Timer::K, ms(5000))];
    check_client(
        false,
        &UDP,
        &[
            // Trying
            (&[], E, "Trying", &[Resend, Start(Timer::E, ms(1000))]),
            (&[E, E], E, "Trying", &[Resend, Start(Timer::E, ms(4000))]),
            (&[E, E, E], E, "Trying", &[Resend, Start(Timer::E, ms(4000))]),
            (&[], F, "Terminated", &[Stop(Timer::E), TimedOut]),
            (&[], ERR, "Terminated", &[Stop(Timer::E), Stop(Timer::F), TransportFailed]),
            (&[], R1, "Proceeding", &[Deliver]),
            (&[], R2, "Completed", finished),
            (&[], R3, "Completed", finished),
            (&[], In::Abandon, "Terminated", &[Stop(Timer::E), Stop(Timer::F)]),
            // Proceeding
            (&[R1], E, "Proceeding", &[Resend, Start(Timer::E, ms(4000))]),
            (&[R1], F, "Terminated", &[Stop(Timer::E), TimedOut]),
            (&[R1], ERR, "Terminated", &[Stop(Timer::E), Stop(Timer::F), TransportFailed]),
            (&[R1], R1, "Proceeding", &[Deliver]),
            (&[R1], R2, "Completed", finished),
            (&[R1], R3, "Completed", finished),
            // Completed
            (&[R2], R2, "Completed", &[]),
            (&[R2], ERR, "Completed", &[]),
            (&[R2], E, "Completed", &[]),
            (&[R2], K, "Terminated", &[]),
            // Terminated
            (&[R2, K], R2, "Terminated", &[]),
        ],
    );
}

#[test]
fn figure_6_non_invite_client_over_a_stream() {
    let (_, begun) = Client::begin(false, &TCP);
    assert_eq!(&begun[..], [Send, Start(Timer::F, PATIENCE)]);
    check_client(false, &TCP, &[(&[R1], R2, "Terminated", &[Stop(Timer::E), Stop(Timer::F), Deliver])]);
}

const P1: Srv = Srv::Reply(Provisional);
const P2: Srv = Srv::Reply(Success);
const P3: Srv = Srv::Reply(Failure);
const AGAIN: Srv = Srv::Request;
const ACK: Srv = Srv::Ack;
const LOST: Srv = Srv::TransportError;
const TRYING: Srv = Srv::Fired(Timer::Trying);
const G: Srv = Srv::Fired(Timer::G);
const H: Srv = Srv::Fired(Timer::H);
const I: Srv = Srv::Fired(Timer::I);
const J: Srv = Srv::Fired(Timer::J);
const L: Srv = Srv::Fired(Timer::L);

#[test]
fn figure_7_invite_server_over_udp() {
    let (machine, begun) = Server::begin(true);
    assert_eq!(server_state(&machine), "Proceeding");
    assert_eq!(&begun[..], [Deliver, Start(Timer::Trying, ms(200))]);
    let refused: &[Action] = &[Stop(Timer::Trying), Send, Start(Timer::G, ms(500)), Start(Timer::H, PATIENCE)];
    let accepted: &[Action] = &[Stop(Timer::Trying), Send, Start(Timer::L, PATIENCE)];
    check_server(
        true,
        &UDP,
        &[
            // Proceeding
            (&[], TRYING, "Proceeding", &[SendTrying]),
            (&[], AGAIN, "Proceeding", &[Stop(Timer::Trying), SendTrying]),
            (&[TRYING], AGAIN, "Proceeding", &[Resend]),
            (&[P1], TRYING, "Proceeding", &[]),
            (&[P1], AGAIN, "Proceeding", &[Resend]),
            (&[], P1, "Proceeding", &[Stop(Timer::Trying), Send]),
            (&[P1], P1, "Proceeding", &[Stop(Timer::Trying), Send]),
            (&[], P2, "Accepted", accepted),
            (&[P1], P2, "Accepted", accepted),
            (&[], P3, "Completed", refused),
            (&[], LOST, "Proceeding", &[TransportFailed]),
            (&[], ACK, "Proceeding", &[]),
            // Completed
            (&[P3], AGAIN, "Completed", &[Resend]),
            (&[P3], G, "Completed", &[Resend, Start(Timer::G, ms(1000))]),
            (&[P3, G, G], G, "Completed", &[Resend, Start(Timer::G, ms(4000))]),
            (&[P3, G, G, G], G, "Completed", &[Resend, Start(Timer::G, ms(4000))]),
            (&[P3], H, "Terminated", &[Stop(Timer::G), TimedOut]),
            (&[P3], ACK, "Confirmed", &[Stop(Timer::G), Stop(Timer::H), Start(Timer::I, ms(5000))]),
            (&[P3], LOST, "Completed", &[TransportFailed]),
            (&[P3], P2, "Completed", &[]),
            (&[P3], P3, "Completed", &[]),
            // Confirmed
            (&[P3, ACK], ACK, "Confirmed", &[]),
            (&[P3, ACK], AGAIN, "Confirmed", &[]),
            (&[P3, ACK], G, "Confirmed", &[]),
            (&[P3, ACK], I, "Terminated", &[]),
            // Accepted (RFC 6026 §7.1)
            (&[P2], AGAIN, "Accepted", &[]),
            (&[P2], P2, "Accepted", &[Send]),
            (&[P2], P3, "Accepted", &[]),
            (&[P2], ACK, "Accepted", &[Deliver]),
            (&[P2], LOST, "Accepted", &[TransportFailed]),
            (&[P2], L, "Terminated", &[]),
            // Terminated
            (&[P2, L], AGAIN, "Terminated", &[]),
        ],
    );
}

#[test]
fn figure_7_invite_server_over_a_stream() {
    check_server(
        true,
        &TCP,
        &[
            (&[], P3, "Completed", &[Stop(Timer::Trying), Send, Start(Timer::H, PATIENCE)]),
            (&[P3], ACK, "Terminated", &[Stop(Timer::G), Stop(Timer::H)]),
            (&[P3], H, "Terminated", &[Stop(Timer::G), TimedOut]),
        ],
    );
}

#[test]
fn figure_8_non_invite_server_over_udp() {
    let (machine, begun) = Server::begin(false);
    assert_eq!(server_state(&machine), "Trying");
    assert_eq!(&begun[..], [Deliver]);
    check_server(
        false,
        &UDP,
        &[
            // Trying
            (&[], AGAIN, "Trying", &[]),
            (&[], P1, "Proceeding", &[Send]),
            (&[], P2, "Completed", &[Send, Start(Timer::J, PATIENCE)]),
            (&[], P3, "Completed", &[Send, Start(Timer::J, PATIENCE)]),
            // Proceeding
            (&[P1], AGAIN, "Proceeding", &[Resend]),
            (&[P1], P1, "Proceeding", &[Send]),
            (&[P1], P2, "Completed", &[Send, Start(Timer::J, PATIENCE)]),
            (&[P1], LOST, "Terminated", &[TransportFailed]),
            // Completed
            (&[P2], AGAIN, "Completed", &[Resend]),
            (&[P2], P3, "Completed", &[]),
            (&[P2], J, "Terminated", &[]),
            (&[P2], LOST, "Terminated", &[Stop(Timer::J), TransportFailed]),
            // Terminated
            (&[P2, J], AGAIN, "Terminated", &[]),
        ],
    );
}

#[test]
fn figure_8_non_invite_server_over_a_stream() {
    check_server(false, &TCP, &[(&[], P3, "Terminated", &[Send]), (&[P1], P2, "Terminated", &[Send])]);
}

#[test]
fn every_interval_follows_a_configured_t1() {
    let satellite = Intervals { t1: ms(1500), ..UDP };
    let (client, begun) = Client::begin(true, &satellite);
    assert_eq!(&begun[..], [Send, Start(Timer::A, ms(1500)), Start(Timer::B, ms(96_000))]);
    let (_, done) = client.on(R3, &satellite);
    assert_eq!(done.last(), Some(&Start(Timer::D, ms(96_000))), "D outlasts the peer's Timer H");
}
