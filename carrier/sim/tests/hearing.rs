//! What the carrier hears over the network: the prompt, whole or with a hole, and what the figures say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod world;

use carrier_sim::virtual_network::{Impairment, Passing};
use carrier_sim::{CarrierConfig, Heard};
use std::time::Duration;
use world::{PhoneCommand, World, config};

/// Bytes of an RTP header without extensions.
const RTP_HEADER: usize = 12;

/// The phone calls, plays welcome and hangs up.
fn play(world: &mut World) -> Vec<Heard> {
    world.call();
    world.run(1);
    world.phone(PhoneCommand::Play("welcome"));
    world.run(3);
    world.phone(PhoneCommand::HangUp);
    world.run(1);
    world.report().heard.clone()
}

/// Changes the `nth` RTP packet that carries sound to the carrier; `false` loses it.
fn meddle(world: &mut World, nth: usize, how: fn(&mut [u8]) -> bool) {
    let mut sounding = 0;
    world.network.tap(Box::new(move |passing, _| match passing {
        Passing::Media { to, packet, .. }
            if to.port().is_multiple_of(2)
                && to.ip().to_string() == world::CARRIER
                && packet[RTP_HEADER..].iter().any(|&octet| octet != 0xFF) =>
        {
            sounding += 1;
            if sounding == nth { how(packet) } else { true }
        }
        _ => true,
    }));
}

#[test]
fn the_prompt_is_heard_sample_for_sample() {
    let mut world = World::with("answer");
    let heard = play(&mut world);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!((heard[0].prompt.as_str(), heard[0].exact, heard[0].samples), ("welcome", true, 12_000));
    let quality = world.report().quality.unwrap();
    assert_eq!((quality.received.lost, quality.received.duplicates), (0, 0));
    assert!(quality.received.mos.unwrap() > 4.3);
}

#[test]
fn one_lost_frame_is_missed_wherever_it_is() {
    for nth in [1, 2, 40, 74, 75] {
        let mut world = World::with("answer");
        meddle(&mut world, nth, |_| false);
        let heard = play(&mut world);
        assert_eq!((heard[0].exact, heard[0].missing, heard[0].altered), (false, 160, 0), "packet {nth}");
        assert_eq!(world.report().quality.unwrap().received.lost, 1);
    }
}

#[test]
fn one_altered_sample_is_noticed() {
    let mut world = World::with("answer");
    meddle(&mut world, 33, |packet| {
        packet[RTP_HEADER + 80] ^= 0x01;
        true
    });
    let heard = play(&mut world);
    assert_eq!((heard[0].exact, heard[0].missing, heard[0].altered), (false, 0, 1));
}

#[test]
fn silence_is_not_taken_for_a_prompt() {
    let mut world = World::with("answer, hangup 2s");
    world.call();
    world.run(4);
    assert_eq!(world.report().heard, []);
    assert!(world.report().quality.unwrap().received.packets > 90);
}

#[test]
fn reordering_and_duplicates_do_no_harm_to_what_is_heard() {
    let mut world = World::with("answer");
    world.network.impair_media(Impairment {
        duplicate: 0.1,
        reorder: 0.1,
        held_up: Duration::from_millis(25),
        ..Impairment::CLEAN
    });
    let heard = play(&mut world);
    assert!(heard[0].exact, "{heard:?}");
    let received = world.report().quality.unwrap().received;
    assert!(received.duplicates > 5 && received.reordered > 5, "{received:?}");
}

#[test]
fn what_is_heard_is_kept_where_that_is_asked_for() {
    let mut world = World::new(1, CarrierConfig { keeps_captures: true, ..config("answer") });
    play(&mut world);
    let capture = world.report().capture.as_ref().unwrap();
    assert!(capture.find(world::prompts()[0].payload(capture.codec)).is_some());
    let mut deaf = World::new(1, CarrierConfig { listens: false, ..config("answer") });
    assert_eq!(play(&mut deaf), []);
    assert!(deaf.report().capture.is_none());
}

#[test]
fn early_media_is_heard_before_the_answer() {
    let mut world = World::with("early ringback, answer 2s");
    world.call();
    world.run(1);
    assert!(world.heard_words().contains(&"rtp".to_owned()));
    assert!(world.the_carrier().load().ports == 1);
    world.run(2);
    world.phone(PhoneCommand::HangUp);
    world.run(1);
    let times = world.report().times;
    assert!(times.early_media.unwrap() < times.answered.unwrap());
    world.assert_idle();
}
