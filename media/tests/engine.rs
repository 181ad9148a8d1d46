//! The engine on real sockets, loopback only. Each wait is for an observable fact, with a deadline.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]
#![cfg(feature = "worker")]
#![allow(clippy::disallowed_methods, reason = "a test of the rim reads the clock for its deadlines")]

mod rim;

use base::Rng;
use media::{Capture, Codec, Command, EndpointId, Event, MemberOptions, PlayId, Prompt, RoomId, RoomOptions};
use rim::{DEADLINE, LOOPBACK, Rig, config};
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

fn sweep() -> Arc<Prompt> {
    let samples: Vec<i16> = (0..4000i32).map(|n| ((n * n / 40) % 20_000 - 10_000) as i16).collect();
    Arc::new(Prompt::new("sweep", samples))
}

fn captured(event: &Event, wanted: EndpointId) -> Option<Capture> {
    match event {
        Event::Captured { id, capture } if *id == wanted => Some(capture.clone()),
        _ => None,
    }
}

#[test]
fn a_prompt_crosses_loopback_sample_for_sample_while_its_player_changes_threads() {
    let mut rig = Rig::new(2);
    let (player, ear) = (EndpointId(2), EndpointId(4));
    let (play_port, ear_port) = (rig.open(player, 42_000), rig.open(ear, 42_100));
    rig.send(Command::Capture { id: ear, on: true });
    rig.send(Command::Configure { id: ear, config: config(play_port) });
    rig.send(Command::Configure { id: player, config: config(ear_port) });
    rig.wait("the first packet", |event| matches!(event, Event::FirstPacket { id, .. } if *id == ear).then_some(()));
    let prompt = sweep();
    rig.send(Command::Play { id: player, play: PlayId(1), prompt: prompt.clone(), repeat: 2 });
    rig.engine.move_endpoint(player, 1).unwrap();
    rig.send(Command::SendDigits { id: player, digits: String::new(), tone_ms: 100, gap_ms: 100 });
    rig.engine.move_endpoint(player, 0).unwrap();
    let ended = rig.wait("the end of the prompt", |event| match event {
        Event::PlayEnded { id, finished, samples, .. } if *id == player => Some((*finished, *samples)),
        _ => None,
    });
    assert_eq!(ended, (true, 8000));
    rig.send(Command::SendDigits { id: player, digits: "4".into(), tone_ms: 80, gap_ms: 60 });
    rig.wait("the digit", |event| matches!(event, Event::Digit { id, digit: '4', .. } if *id == ear).then_some(()));
    rig.send(Command::Capture { id: ear, on: false });
    let capture = rig.wait("the capture", |event| captured(event, ear));
    assert!(capture.find(prompt.payload(Codec::Pcmu)).is_some(), "gaps: {:?}", capture.gaps);
    rig.send(Command::Close { id: ear });
    let report = rig.wait("the ear's end", |event| match event {
        Event::Closed { id, report, .. } if *id == ear => Some(*report),
        _ => None,
    });
    assert_eq!((report.received.lost, report.received.duplicates, report.strangers), (0, 0, 0));
    rig.engine.shutdown();
    let closed = rig.events.iter().any(|event| matches!(event, Event::Closed { id, .. } if id == player));
    assert!(closed, "a shutdown closes what is left");
}

#[test]
fn two_legs_of_different_shards_are_joined_without_losing_a_packet() {
    let mut rig = Rig::new(2);
    let [ann, left, right, bob] = [EndpointId(10), EndpointId(20), EndpointId(31), EndpointId(41)];
    let ports = [ann, left, right, bob].map(|id| rig.open(id, 42_300));
    for (id, far) in [(ann, ports[1]), (left, ports[0]), (right, ports[3]), (bob, ports[2])] {
        rig.send(Command::Configure { id, config: config(far) });
    }
    for wanted in [left, right] {
        rig.wait("the first packet", |event| {
            matches!(event, Event::FirstPacket { id, .. } if *id == wanted).then_some(())
        });
    }
    assert_ne!(rig.engine.shard_of(left), rig.engine.shard_of(right));
    rig.send(Command::Capture { id: bob, on: true });
    rig.send(Command::Bridge { id: left, with: right });
    assert_eq!(rig.engine.shard_of(left), rig.engine.shard_of(right));
    let prompt = sweep();
    rig.send(Command::Play { id: ann, play: PlayId(1), prompt: prompt.clone(), repeat: 3 });
    rig.wait("the end of the prompt", |event| matches!(event, Event::PlayEnded { .. }).then_some(()));
    rig.send(Command::SendDigits { id: ann, digits: "4".into(), tone_ms: 80, gap_ms: 60 });
    for wanted in [left, bob] {
        rig.wait("the key", |event| {
            matches!(event, Event::Digit { id, digit: '4', .. } if *id == wanted).then_some(())
        });
    }
    rig.send(Command::Capture { id: bob, on: false });
    let capture = rig.wait("the capture", |event| captured(event, bob));
    assert!(capture.find(prompt.payload(Codec::Pcmu)).is_some(), "gaps: {:?}", capture.gaps);
    for wanted in [left, right] {
        rig.send(Command::Close { id: wanted });
        let report = rig.wait("the leg's end", |event| match event {
            Event::Closed { id, report, .. } if *id == wanted => Some(*report),
            _ => None,
        });
        assert_eq!((report.received.lost, report.strangers), (0, 0));
    }
}

#[test]
fn who_is_left_behind_by_a_new_bridge_is_parted() {
    let mut rig = Rig::new(2);
    // The first is on shard 0 as the second is, and is the one that moves to the third.
    let [left, right, third, bob] = [EndpointId(10), EndpointId(20), EndpointId(31), EndpointId(40)];
    let ports = [left, right, third, bob].map(|id| rig.open(id, 42_700));
    rig.send(Command::Configure { id: right, config: config(ports[3]) });
    rig.send(Command::Configure { id: bob, config: config(ports[1]) });
    rig.send(Command::Bridge { id: left, with: right });
    rig.send(Command::Bridge { id: left, with: third });
    assert_eq!([left, right, third].map(|id| rig.engine.shard_of(id)), [1, 0, 1]);
    // An endpoint that is joined echoes nothing.
    rig.send(Command::Echo { id: right, on: true });
    rig.send(Command::Capture { id: bob, on: true });
    let prompt = sweep();
    rig.send(Command::Play { id: bob, play: PlayId(1), prompt: prompt.clone(), repeat: 3 });
    rig.wait("the end of the prompt", |event| matches!(event, Event::PlayEnded { .. }).then_some(()));
    rig.send(Command::SendDigits { id: right, digits: "4".into(), tone_ms: 80, gap_ms: 60 });
    rig.wait("the key", |event| matches!(event, Event::Digit { id, .. } if *id == bob).then_some(()));
    rig.send(Command::Capture { id: bob, on: false });
    let capture = rig.wait("the capture", |event| captured(event, bob));
    assert!(capture.find(prompt.payload(Codec::Pcmu)).is_some(), "gaps: {:?}", capture.gaps);
}

#[test]
fn members_of_a_room_are_brought_onto_one_shard() {
    let mut rig = Rig::new(3);
    let ids = [3, 4, 5, 6, 7, 8].map(EndpointId);
    let ports = ids.map(|id| rig.open(id, 43_000));
    for (leg, phone) in [(0, 3), (1, 4), (2, 5)] {
        rig.send(Command::Configure { id: ids[leg], config: config(ports[phone]) });
        rig.send(Command::Configure { id: ids[phone], config: config(ports[leg]) });
    }
    for id in &ids[..3] {
        let options = RoomOptions { rate: 8_000, ..RoomOptions::default() };
        rig.send(Command::Join { id: *id, room: RoomId(1), options, member: MemberOptions::default() });
        rig.wait("the join", |event| matches!(event, Event::Joined { .. } if event.id() == *id).then_some(()));
    }
    assert_eq!([ids[0], ids[1], ids[2]].map(|id| rig.engine.shard_of(id)), [0; 3]);
    rig.send(Command::Capture { id: ids[5], on: true });
    let prompt = sweep();
    rig.send(Command::Play { id: ids[3], play: PlayId(1), prompt: prompt.clone(), repeat: 4 });
    rig.wait("the end of the prompt", |event| matches!(event, Event::PlayEnded { .. }).then_some(()));
    rig.send(Command::SendDigits { id: ids[2], digits: "4".into(), tone_ms: 80, gap_ms: 60 });
    rig.wait("the key", |event| matches!(event, Event::Digit { id, .. } if *id == ids[5]).then_some(()));
    rig.send(Command::Capture { id: ids[5], on: false });
    // On a busy machine the buffer may stretch: that it is heard is told by its level.
    let heard = rig.wait("the capture", |event| captured(event, ids[5])).pcm();
    let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 4_000).count();
    assert!(loud > 4_000, "{loud} of {}", heard.len());
    // The last to go ends the room; the next begins where it is.
    for id in &ids[..3] {
        rig.send(Command::Leave { id: *id });
        rig.wait("the leave", |event| matches!(event, Event::Left { .. } if event.id() == *id).then_some(()));
    }
    let again =
        |id| Command::Join { id, room: RoomId(1), options: RoomOptions::default(), member: MemberOptions::default() };
    rig.send(again(ids[4]));
    rig.send(again(ids[1]));
    assert_eq!([ids[4], ids[1]].map(|id| rig.engine.shard_of(id)), [1, 1]);
    assert_eq!(rig.stats().iter().map(|stats| stats.unknown_endpoint).sum::<u64>(), 0);
}

#[test]
fn commands_keep_their_order_however_endpoints_are_moved_about() {
    const ENDPOINTS: u64 = 12;
    let mut rig = Rig::new(3);
    let mut rng = Rng::from_u64(5);
    for id in (0..ENDPOINTS).map(EndpointId) {
        let port = rig.open(id, 42_500);
        rig.send(Command::Configure { id, config: config(port) });
    }
    for play in 0..2_000 {
        let (id, with) = (EndpointId(rng.below(ENDPOINTS)), EndpointId(rng.below(ENDPOINTS)));
        match rng.below(4) {
            0 => rig.engine.move_endpoint(id, rng.below(3) as usize).unwrap(),
            1 => rig.send(Command::Unbridge { id }),
            2 if id != with => rig.send(Command::Bridge { id, with }),
            _ => {
                rig.send(Command::Play { id, play: PlayId(play), prompt: sweep(), repeat: 0 });
                rig.send(Command::StopPlay { id, play: PlayId(play) });
                let stopped = |event: &Event| match event {
                    Event::PlayEnded { play: ended, finished, .. } if ended.0 == play => Some(*finished),
                    _ => None,
                };
                assert!(!rig.wait("the stop", stopped));
            }
        }
    }
    for id in (0..ENDPOINTS).map(EndpointId) {
        rig.send(Command::Close { id });
        rig.wait("the end", |event| matches!(event, Event::Closed { .. } if event.id() == id).then_some(()));
    }
    assert_eq!(rig.stats().iter().map(|stats| stats.unknown_endpoint).sum::<u64>(), 0);
}

#[test]
fn a_port_that_is_taken_is_named_and_costs_nobody_else() {
    let taken = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut rig = Rig::new(1);
    rig.send(Command::Create { id: EndpointId(1), rtp_port: port });
    let error = rig.wait("the failure", |event| match event {
        Event::Failed { error, .. } => Some(error.clone()),
        _ => None,
    });
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    rig.open(EndpointId(2), 42_200);
    assert_eq!(rig.stats().first().map(|stats| stats.endpoints), Some(1));
}

#[test]
fn threads_are_named_and_a_stopped_shard_says_so() {
    let mut rig = Rig::new(2);
    // A thread names itself as it starts; one that answers has started.
    assert_eq!(rig.stats().len(), 2);
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names: Vec<_> =
        tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok()).collect();
    for wanted in ["media-0\n", "media-1\n"] {
        assert!(names.iter().any(|name| name == wanted), "{names:?}");
    }
    assert!(rig.engine.move_endpoint(EndpointId(1), 7).is_err());
}

#[test]
fn each_shard_says_how_it_is_to_any_thread_and_nothing_once_it_has_stopped() {
    let mut rig = Rig::new(2);
    let far = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let config = config(far.local_addr().unwrap().port());
    rig.open(EndpointId(1), 42_400);
    rig.send(Command::Configure { id: EndpointId(1), config });
    rig.send(Command::Play { id: EndpointId(1), play: PlayId(1), prompt: sweep(), repeat: 1 });
    rig.wait("the end of the prompt", |event| matches!(event, Event::PlayEnded { .. }).then_some(()));
    let observer = rig.engine.observer();
    let ask = || {
        std::thread::spawn({
            let observer = observer.clone();
            move || observer.reports()
        })
        .join()
        .unwrap()
    };
    let end = Instant::now() + DEADLINE;
    let mut reports = ask();
    while reports.len() < 2 && Instant::now() < end {
        reports = ask();
    }
    assert_eq!(reports.iter().map(|report| report.shard).collect::<Vec<_>>(), [0, 1]);
    let player = reports.into_iter().find(|report| report.shard == rig.engine.shard_of(EndpointId(1))).unwrap();
    assert!(player.stats.packets_sent > 0 && player.stats.lateness.sum_ns() > 0 && player.cpu_ns > 0, "{player:?}");
    assert_eq!((player.stats.endpoints, player.held, player.unwritten), (1, 0, 0));
    drop(rig);
    assert!(observer.reports().is_empty());
}
