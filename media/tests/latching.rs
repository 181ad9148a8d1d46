//! Strangers: SECURITY.md rows 1 to 3 on virtual time. Whoever is not the far end is counted, and teaches nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use lab::{Lab, address, packet};
use media::{Channel, Command, EndpointId, Event, Latch, Quality};
use std::net::SocketAddr;
use std::sync::Arc;

const ATTACKER: &str = "127.0.0.9:4000";

fn attacker() -> SocketAddr {
    ATTACKER.parse().unwrap()
}

/// Audio nobody else sends, so that a single leaked sample is found.
const POISON: [u8; 160] = [0x11; 160];

fn spray(lab: &mut Lab, rng: &mut base::Rng) {
    for port in [10_000, 10_001, 10_002, 10_003] {
        let (sequence, timestamp, ssrc) = (rng.u32() as u16, rng.u32(), rng.u32() % 3);
        for payload_type in [0, 101] {
            let bytes = packet(payload_type, true, sequence, timestamp, ssrc, &POISON);
            lab.wire.carry(attacker(), address(port), &bytes, 0);
        }
        let mut short = vec![0x80, 200, rng.u32() as u8, rng.u32() as u8, 0, 0, 0, 0, 0, 0, 0, 0];
        short.truncate(rng.below(13) as usize);
        lab.wire.carry(attacker(), address(port), &short, 0);
    }
}

fn assert_untouched(lab: &mut Lab, ids: [EndpointId; 2]) -> [Quality; 2] {
    assert!(lab.wire.sent.iter().all(|sent| sent.to.ip() != attacker().ip()), "a packet went to the attacker");
    ids.map(|id| {
        let (report, capture) = lab.close(id);
        let capture = capture.unwrap();
        assert!(!capture.payload.contains(&POISON[0]), "a sample of the attacker's was heard");
        assert_eq!(report.received.lost, 0);
        report
    })
}

#[test]
fn sprayed_before_during_and_after_a_call_the_attacker_gets_and_gives_nothing() {
    for (seed, latch) in [(1, Latch::Signalled), (2, Latch::Ranges(Arc::new(["127.0.0.1/32".parse().unwrap()])))] {
        let mut lab = Lab::new(seed);
        let mut rng = base::Rng::from_u64(seed);
        for (id, rtp_port) in [(EndpointId(1), 10_000), (EndpointId(2), 10_002)] {
            lab.command(Command::Create { id, rtp_port });
            lab.command(Command::Capture { id, on: true });
        }
        for _ in 0..100 {
            spray(&mut lab, &mut rng);
            lab.run(1);
        }
        lab.configure(EndpointId(1), 10_002, |config| config.latch = latch.clone());
        lab.configure(EndpointId(2), 10_000, |config| config.latch = latch.clone());
        for _ in 0..60_000 {
            spray(&mut lab, &mut rng);
            lab.run(1);
        }
        let reports = assert_untouched(&mut lab, [EndpointId(1), EndpointId(2)]);
        assert!(reports.iter().all(|report| report.strangers >= 60_000 * 3), "{reports:?}");
        spray(&mut lab, &mut rng);
        lab.run(100);
        assert!(lab.wire.sent.iter().all(|sent| sent.to.ip() != attacker().ip()));
    }
}

#[test]
fn symmetric_rtp_locks_on_the_first_valid_packet_and_hears_nobody_after_it() {
    let mut lab = Lab::new(3);
    let mut rng = base::Rng::from_u64(3);
    // The far end is behind a NAT: what it signalled is not where it sends from.
    let id = EndpointId(1);
    lab.command(Command::Create { id, rtp_port: 10_000 });
    lab.command(Command::Capture { id, on: true });
    lab.configure(id, 5555, |config| (config.latch, config.expects_media) = (Latch::FirstPacket, true));
    let nat: SocketAddr = "127.0.0.77:33333".parse().unwrap();
    // Neither garbage nor a strange payload type locks.
    for bytes in [vec![0; 5], packet(99, false, 1, 1, 1, &POISON)] {
        lab.wire.carry(attacker(), address(10_000), &bytes, 0);
    }
    lab.run(10);
    for n in 0..1000u32 {
        let bytes = packet(0, false, n as u16, n * 160, 7, &[0xF0; 160]);
        lab.wire.carry(nat, address(10_000), &bytes, 0);
        lab.turn();
        spray(&mut lab, &mut rng);
        lab.run(20);
    }
    assert_eq!(lab.said(|event| matches!(event, Event::FirstPacket { from, .. } if *from == nat)).len(), 1);
    let last = lab.wire.sent.iter().rfind(|sent| sent.channel == Channel::Rtp).unwrap();
    assert_eq!(last.to, nat);
    let rtcp = lab.wire.sent.iter().rfind(|sent| sent.channel == Channel::Rtcp).unwrap();
    assert_eq!(rtcp.to, "127.0.0.77:33334".parse().unwrap());
    let (report, capture) = lab.close(id);
    assert_eq!((report.received.packets, report.received.lost), (1000, 0));
    assert!(!capture.unwrap().payload.contains(&POISON[0]));
    assert!(lab.wire.sent.iter().all(|sent| sent.to.ip() != attacker().ip()));
}

#[test]
fn a_new_address_by_signalling_opens_the_lock_and_is_announced() {
    let mut lab = Lab::new(4);
    let id = EndpointId(1);
    lab.command(Command::Create { id, rtp_port: 10_000 });
    lab.configure(id, 20_000, |config| config.latch = Latch::FirstPacket);
    let hear = |lab: &mut Lab, from: u16, n: u32| {
        let bytes = packet(0, false, n as u16, n * 160, 7, &[0xF0; 160]);
        lab.wire.carry(address(from), address(10_000), &bytes, 0);
        lab.run(20);
    };
    hear(&mut lab, 20_000, 0);
    hear(&mut lab, 30_000, 1);
    lab.configure(id, 20_000, |config| (config.latch, config.send) = (Latch::FirstPacket, false));
    hear(&mut lab, 30_000, 2);
    lab.configure(id, 30_000, |config| config.latch = Latch::FirstPacket);
    hear(&mut lab, 30_000, 3);
    hear(&mut lab, 20_000, 4);
    let first: Vec<_> = lab
        .events
        .iter()
        .filter_map(|(_, event)| if let Event::FirstPacket { from, .. } = event { Some(from.port()) } else { None })
        .collect();
    assert_eq!(first, [20_000, 30_000]);
    let (report, _) = lab.close(id);
    assert_eq!(report.strangers, 3);
}

#[test]
fn rtcp_with_lengths_that_lie_is_counted_and_the_gate_stays_shut() {
    let mut lab = Lab::new(5);
    let (left, right) = lab.pair(|_| {});
    for id in [left, right] {
        lab.command(Command::Capture { id, on: true });
    }
    lab.run(1000);
    // From the far end's own RTCP port, so that the gate lets it in.
    for length in 0..=12usize {
        for said in [0u16, 1, 2, 6, 7, 100, 65_535] {
            let [high, low] = said.to_be_bytes();
            let mut bytes = vec![0x81, 201, high, low, 0, 0, 0, 1, 0, 0, 0, 2];
            bytes.truncate(length);
            lab.wire.carry(address(10_001), address(10_003), &bytes, 0);
        }
    }
    let mut rng = base::Rng::from_u64(5);
    for _ in 0..1000 {
        spray(&mut lab, &mut rng);
        lab.run(1);
    }
    let [_, right] = assert_untouched(&mut lab, [left, right]);
    assert!(right.malformed >= 80, "{}", right.malformed);
}
