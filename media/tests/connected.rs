//! The second socket of an RTP port, connected to where its packets go: loopback, and whatever is waited for has a deadline.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]
#![cfg(feature = "worker")]
#![allow(clippy::disallowed_methods, reason = "a test of the rim reads the clock for its deadlines")]

mod rim;

use media::{Command, EndpointId, Event};
use rim::{DEADLINE, LOOPBACK, Rig, config};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

const LEG: EndpointId = EndpointId(2);

/// More than a second of packets, so that the way changes among them.
const MANY: usize = 130;

/// Somebody who speaks PCMU with an endpoint.
struct Far {
    socket: UdpSocket,
    to: SocketAddr,
    sequence: u16,
    /// The last sequence number that came.
    heard: Option<u16>,
}

impl Far {
    fn bind(port: u16) -> UdpSocket {
        let end = Instant::now() + DEADLINE;
        loop {
            match UdpSocket::bind((LOOPBACK, port)) {
                Ok(socket) => {
                    socket.set_read_timeout(Some(DEADLINE)).unwrap();
                    return socket;
                }
                Err(error) => assert!(Instant::now() < end, "port {port}: {error}"),
            }
        }
    }

    fn new(port: u16) -> Self {
        Self { socket: Self::bind(0), to: SocketAddr::new(LOOPBACK, port), sequence: 0, heard: None }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    fn speak(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend(payload);
        self.sequence += 1;
        self.socket.send_to(&packet, self.to).unwrap();
    }

    /// Speech, then a key: once the key is told, all before it in the same socket has been read.
    fn speak_and_press(&mut self, packets: u32) {
        for packet in 0..packets {
            self.speak(0, packet * 160, &[0x55; 160]);
        }
        for duration in [160u16, 320, 480] {
            let [high, low] = duration.to_be_bytes();
            self.speak(101, packets * 160, &[4, if duration == 480 { 0x8A } else { 0x0A }, high, low]);
        }
    }

    /// Hears so many packets, all of one stream, from the endpoint's port, with none missing.
    fn hear(&mut self, packets: usize) {
        for _ in 0..packets {
            let mut buffer = [0; 1500];
            let (length, from) = self.socket.recv_from(&mut buffer).unwrap();
            assert_eq!((from, length), (self.to, 172));
            let sequence = u16::from_be_bytes([buffer[2], buffer[3]]);
            if let Some(last) = self.heard {
                assert_eq!(sequence, last.wrapping_add(1));
            }
            self.heard = Some(sequence);
        }
    }
}

/// An endpoint that has spoken to a far end for as long as it takes.
fn connected(threads: usize, port: u16) -> (Rig, Far) {
    let mut rig = Rig::new(threads);
    let mut far = Far::new(rig.open(LEG, port));
    rig.send(Command::Configure { id: LEG, config: config(far.port()) });
    far.hear(MANY);
    rig.until("a connected socket", |reports| direct(reports) == [1]);
    (rig, far)
}

/// Connected sockets of the shards that have some.
fn direct(reports: &[media::ShardReport]) -> Vec<usize> {
    reports.iter().map(|report| report.direct).filter(|direct| *direct > 0).collect()
}

fn key(rig: &mut Rig) {
    rig.wait("the key", |event| matches!(event, Event::Digit { digit: '4', .. }).then_some(()));
}

fn close(rig: &mut Rig) -> media::Quality {
    rig.send(Command::Close { id: LEG });
    rig.wait("the end", |event| match event {
        Event::Closed { report, .. } => Some(*report),
        _ => None,
    })
}

#[test]
fn it_is_one_stream_from_one_port_before_and_after_on_whatever_shard() {
    let (mut rig, mut far) = connected(2, 44_000);
    let other = 1 - rig.engine.shard_of(LEG);
    rig.engine.move_endpoint(LEG, other).unwrap();
    far.hear(MANY);
    rig.until("the connected socket on its new shard", |reports| reports[other].direct == 1 && direct(reports) == [1]);
    far.speak_and_press(20);
    key(&mut rig);
    let report = close(&mut rig);
    assert_eq!((report.received.packets, report.received.lost, report.strangers), (23, 0, 0));
    rig.until("nothing connected", |reports| direct(reports).is_empty());
}

#[test]
fn a_stranger_who_floods_the_port_is_counted_and_costs_the_far_end_no_packet() {
    let (mut rig, mut far) = connected(1, 44_100);
    let stranger = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    for _ in 0..30 {
        for _ in 0..500 {
            stranger.send_to(&[0x80; 172], far.to).unwrap();
        }
        let timestamp = u32::from(far.sequence) * 160;
        far.speak(0, timestamp, &[0x55; 160]);
    }
    far.speak_and_press(0);
    key(&mut rig);
    let report = close(&mut rig);
    assert_eq!((report.received.packets, report.received.lost), (33, 0));
    assert!(report.strangers > 0, "{report:?}");
}

#[test]
fn a_far_end_whose_port_was_closed_hears_and_is_heard_again_once_it_is_open() {
    let (mut rig, mut far) = connected(1, 44_200);
    let port = far.port();
    for packet in 0..5 {
        far.speak(0, packet * 160, &[0x55; 160]);
    }
    // Somebody else's port in the meantime: the old one is closed.
    far.socket = Far::bind(0);
    rig.until("nothing connected, for nobody listens", |reports| direct(reports).is_empty());
    far.socket = Far::bind(port);
    far.heard = None;
    far.hear(MANY);
    far.speak_and_press(10);
    key(&mut rig);
    far.hear(MANY);
    rig.until("a connected socket again", |reports| direct(reports) == [1]);
    let report = close(&mut rig);
    assert_eq!((report.received.packets, report.received.lost), (18, 0), "{report:?}");
}

#[test]
fn a_far_end_that_moves_is_spoken_to_where_it_is_and_the_old_place_is_a_strangers() {
    let (mut rig, mut old) = connected(1, 44_300);
    let mut new = Far::new(old.to.port());
    rig.send(Command::Configure { id: LEG, config: config(new.port()) });
    new.hear(MANY);
    rig.until("a connected socket", |reports| direct(reports) == [1]);
    old.speak_and_press(5);
    new.speak_and_press(5);
    key(&mut rig);
    // What the old place sent before is in a socket that may be read after: it is asked until it has been.
    rig.until("eight strangers' packets", |reports| reports[0].stats.strangers == 8);
    let report = close(&mut rig);
    assert_eq!((report.received.packets, report.strangers), (8, 8));
    old.socket.set_nonblocking(true).unwrap();
    let rest = std::iter::from_fn(|| old.socket.recv(&mut [0; 1500]).ok()).count();
    assert!(rest < MANY, "{rest} packets went on to the old place");
    assert_eq!(old.socket.recv(&mut [0; 1500]).unwrap_err().kind(), ErrorKind::WouldBlock);
}
