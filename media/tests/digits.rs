//! Every key exactly once, whatever the wire does to its packets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use base::Rng;
use lab::{Lab, Rules, address, packet};
use media::{Command, EndpointId, Event, MAX_DIGITS_PER_SECOND, PlayId, tone};
use std::sync::Arc;

const KEYS: &[u8] = b"0123456789*#ABCD";

fn keys(rng: &mut Rng, count: usize) -> String {
    (0..count).map(|_| char::from(KEYS[rng.below(16) as usize])).collect()
}

#[test]
fn every_key_of_seeded_streams_arrives_once_and_in_order() {
    for seed in 0..100 {
        let mut rng = Rng::from_u64(seed);
        let mut lab = Lab::new(seed);
        let (hand, ear) = lab.pair(|_| {});
        // Loss of single packets (ends among them), copies, and packets behind the next one.
        lab.wire.rules = Rules { loss: 0.1, duplicate: 0.1, hold_back: 0.05, held_ms: 25, ..Rules::default() };
        let mut pressed = String::new();
        for _ in 0..5 {
            let digits = keys(&mut rng, 8);
            let (tone_ms, gap_ms) = (80 + rng.below(200) as u16, 80 + rng.below(100) as u16);
            lab.command(Command::SendDigits { id: hand, digits: digits.clone(), tone_ms, gap_ms });
            lab.run(8 * u64::from(tone_ms + gap_ms) + 900);
            pressed.push_str(&digits);
        }
        assert_eq!(lab.digits(ear), pressed, "seed {seed}");
    }
}

/// The sound of a key (ITU-T Q.23).
fn sound(key: u8) -> (u32, u32) {
    let at = b"123A456B789C*0#D".iter().position(|known| *known == key).unwrap();
    ([697, 770, 852, 941][at / 4], [1_209, 1_336, 1_477, 1_633][at % 4])
}

/// Ten thousand streams in all: by packets, and as sounds of a far end that negotiated no telephone-event.
#[test]
fn ten_thousand_streams_of_packets_and_of_sounds_arrive_once_and_in_order() {
    for seed in 0..10_000u64 {
        let mut rng = Rng::from_u64(seed ^ 0x5EED);
        let mut lab = Lab::new(seed);
        lab.wire.quiet = true;
        let sounds = seed % 8 == 7;
        let (hand, ear) = lab.pair(|stream| {
            if sounds {
                (stream.dtmf_in, stream.dtmf_out) = (None, None);
            }
        });
        let digits = keys(&mut rng, 4);
        let (tone_ms, gap_ms) = (80 + rng.below(100) as u16, 80 + rng.below(60) as u16);
        if sounds {
            lab.wire.rules = Rules { loss: 0.02, duplicate: 0.1, hold_back: 0.05, held_ms: 25, ..Rules::default() };
            let part = |key: u8| format!("{}+{}/{tone_ms},0/{gap_ms}", sound(key).0, sound(key).1);
            let specification: Vec<String> = digits.bytes().map(part).collect();
            let prompt = Arc::new(tone(&specification.join(",")).unwrap());
            lab.command(Command::Play { id: hand, play: PlayId(1), prompt, repeat: 1 });
        } else {
            lab.wire.rules = Rules { loss: 0.1, duplicate: 0.1, hold_back: 0.05, held_ms: 25, ..Rules::default() };
            lab.command(Command::SendDigits { id: hand, digits: digits.clone(), tone_ms, gap_ms });
        }
        lab.run(4 * u64::from(tone_ms + gap_ms) + 400);
        assert_eq!(lab.digits(ear), digits, "seed {seed}, tone {tone_ms}, gap {gap_ms}");
    }
}

/// One key's packets by a far end's hand, 20 ms apart: `(sequence, timestamp, event, end, duration, marker)`.
struct Phone {
    lab: Lab,
    id: EndpointId,
    sequence: u16,
}

impl Phone {
    fn new() -> Self {
        let mut lab = Lab::new(1);
        let id = EndpointId(1);
        lab.command(Command::Create { id, rtp_port: 10_000 });
        lab.configure(id, 20_000, |_| {});
        Self { lab, id, sequence: 65_530 }
    }

    fn event(&mut self, timestamp: u32, event: u8, end: bool, duration: u16, marker: bool) {
        let [high, low] = duration.to_be_bytes();
        let payload = [event, u8::from(end) << 7 | 10, high, low];
        let bytes = packet(101, marker, self.sequence, timestamp, 9, &payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.lab.wire.carry(address(20_000), address(10_000), &bytes, 0);
        self.lab.run(20);
    }
}

#[test]
fn the_marker_is_not_needed_and_a_lost_end_is_ended_by_time() {
    let mut phone = Phone::new();
    phone.event(1000, 5, false, 160, false);
    phone.event(1000, 5, false, 320, false);
    phone.lab.run(300);
    assert_eq!(phone.lab.digits(phone.id), "5");
    phone.event(9000, 5, true, 320, false);
    phone.event(9000, 5, true, 320, false);
    assert_eq!(phone.lab.digits(phone.id), "55");
}

#[test]
fn a_sixty_second_key_is_one_digit_of_sixty_seconds() {
    let mut lab = Lab::new(2);
    let (hand, ear) = lab.pair(|_| {});
    lab.command(Command::SendDigits { id: hand, digits: "7".into(), tone_ms: 60_000, gap_ms: 60 });
    lab.run(62_000);
    let held: Vec<_> = lab
        .events
        .iter()
        .filter_map(
            |(_, event)| {
                if let Event::Digit { id, duration_ms, .. } = event { Some((*id, *duration_ms)) } else { None }
            },
        )
        .collect();
    assert_eq!(held, [(ear, 60_000)]);
}

#[test]
fn a_flood_is_bounded_counted_and_hides_no_end_of_media() {
    let mut phone = Phone::new();
    for key in 0..2000u32 {
        let payload = [1, 0x8A, 0, 160];
        let bytes = packet(101, true, key as u16, key * 400, 9, &payload);
        phone.lab.wire.carry(address(20_000), address(10_000), &bytes, 0);
    }
    phone.lab.turn();
    let heard = phone.lab.digits(phone.id).len();
    assert!(heard <= MAX_DIGITS_PER_SECOND as usize && heard >= 64, "{heard}");
    let stats = phone.lab.shards[0].stats();
    assert_eq!(stats.digits_dropped, 2000 - heard as u64);
}

#[test]
fn events_of_an_unnegotiated_type_are_no_digits() {
    let mut phone = Phone::new();
    phone.lab.configure(phone.id, 20_000, |config| config.dtmf_in = None);
    phone.event(1000, 5, true, 320, true);
    phone.lab.run(500);
    assert_eq!(phone.lab.digits(phone.id), "");
}

#[test]
fn a_sender_that_changes_its_ssrc_for_events_presses_each_key_once() {
    let mut lab = Lab::new(3);
    let id = EndpointId(1);
    lab.command(Command::Create { id, rtp_port: 10_000 });
    lab.configure(id, 20_000, |_| {});
    let mut sequence = [100u16, 200];
    let mut send = |lab: &mut Lab, ssrc: usize, payload_type: u8, timestamp: u32, payload: &[u8]| {
        let bytes = packet(payload_type, false, sequence[ssrc], timestamp, ssrc as u32, payload);
        sequence[ssrc] += 1;
        lab.wire.carry(address(20_000), address(10_000), &bytes, 0);
        lab.run(20);
    };
    for key in 0..5u32 {
        for frame in 0..5 {
            send(&mut lab, 0, 0, key * 4000 + frame * 160, &[0xFF; 160]);
        }
        for end in [0, 0, 0x80, 0x80, 0x80u8] {
            send(&mut lab, 1, 101, key * 4000 + 800, &[key as u8, end | 10, 1, 0]);
        }
    }
    lab.run(500);
    assert_eq!(lab.digits(id), "01234");
}
