//! Conferences, checked by tones: each member says one of its own and hears exactly those of the others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use lab::{Lab, config};
use media::{
    Codec, Command, EndpointId, Event, MemberOptions, PlayId, Prompt, RecordId, RecordOptions, RecordOutput,
    RecordSource, RoomId, RoomOptions, tone,
};
use std::path::Path;
use std::sync::Arc;

const ROOM: RoomId = RoomId(1);

/// One tone a member, in Hz, none a harmonic of another.
const TONES: [u32; 6] = [430, 610, 830, 1_130, 1_510, 1_970];

/// The leg of a member, and its phone far away.
fn leg(member: usize) -> EndpointId {
    EndpointId(member as u64)
}

fn phone(member: usize) -> EndpointId {
    EndpointId(100 + member as u64)
}

struct Conference {
    lab: Lab,
}

impl Conference {
    fn new(rate: u32, members: &[(Codec, u16)]) -> Self {
        let mut conference = Self { lab: Lab::new(4) };
        for (member, &(codec, ptime)) in members.iter().enumerate() {
            conference.call(member, codec, ptime);
            conference.join(member, rate, MemberOptions::default());
        }
        conference
    }

    fn call(&mut self, member: usize, codec: Codec, ptime: u16) {
        let port = |base: u16| base + 2 * member as u16;
        for (id, local, remote) in
            [(leg(member), port(10_000), port(20_000)), (phone(member), port(20_000), port(10_000))]
        {
            self.lab.command(Command::Create { id, rtp_port: local });
            let mut stream = config(remote);
            (stream.codec, stream.ptime_ms) = (codec, ptime);
            (stream.payload_type_out, stream.payload_type_in) = (codec.payload_type(), codec.payload_type());
            self.lab.command(Command::Configure { id, config: stream });
        }
    }

    fn join(&mut self, member: usize, rate: u32, options: MemberOptions) {
        let room = RoomOptions { rate, ..RoomOptions::default() };
        self.lab.command(Command::Join { id: leg(member), room: ROOM, options: room, member: options });
    }

    fn update(&mut self, member: usize, options: MemberOptions) {
        self.lab.command(Command::Update { id: leg(member), member: options });
    }

    fn say(&mut self, member: usize) {
        let prompt = Arc::new(tone(&TONES[member].to_string()).unwrap());
        self.lab.command(Command::Play { id: phone(member), play: PlayId(1), prompt, repeat: 0 });
    }

    fn hush(&mut self, member: usize) {
        self.lab.command(Command::StopPlay { id: phone(member), play: PlayId(1) });
    }

    /// Whom each of the members hears in a second from now, after half a second.
    fn hears(&mut self, members: usize) -> Vec<Vec<usize>> {
        self.lab.run(500);
        (0..members).for_each(|member| self.lab.command(Command::Capture { id: phone(member), on: true }));
        self.lab.run(1_000);
        (0..members).map(|member| heard(&self.lab.captured(phone(member)).pcm())).collect()
    }
}

/// The level of a tone in dB below full scale.
fn level(samples: &[i16], hertz: f64, rate: f64) -> f64 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let phase = std::f64::consts::TAU * hertz * n as f64 / rate;
        // A window, so that one tone does not leak into another's place.
        let window = 1.0 - (std::f64::consts::TAU * n as f64 / samples.len() as f64).cos();
        sine += f64::from(sample) * phase.sin() * window;
        cosine += f64::from(sample) * phase.cos() * window;
    }
    let amplitude = 2.0 * sine.hypot(cosine) / samples.len() as f64;
    20.0 * (amplitude.max(1e-6) / 32_768.0).log10()
}

/// Which members' tones are in it.
fn heard(samples: &[i16]) -> Vec<usize> {
    (0..TONES.len()).filter(|&member| level(samples, f64::from(TONES[member]), 8_000.0) > -40.0).collect()
}

const NOBODY: Vec<usize> = Vec::new();

#[test]
fn each_hears_exactly_the_others_at_every_rate_and_packet_time() {
    let members = [
        (Codec::Pcmu, 20),
        (Codec::Pcma, 30),
        (Codec::G722, 20),
        (Codec::Opus, 20),
        (Codec::Opus, 60),
        (Codec::Pcmu, 10),
    ];
    for rate in [8_000, 16_000, 48_000] {
        let mut conference = Conference::new(rate, &members);
        (0..4).for_each(|member| conference.say(member));
        let hears = conference.hears(6);
        let expected = |member: usize| (0..4).filter(|other| *other != member).collect::<Vec<_>>();
        assert_eq!(hears, (0..6).map(expected).collect::<Vec<_>>(), "at {rate}");
    }
}

#[test]
fn a_hundred_hear_exactly_those_who_talk_while_members_come_go_and_are_muted_and_coached() {
    let codecs = [(Codec::Pcmu, 20), (Codec::Pcma, 20), (Codec::G722, 20), (Codec::Opus, 20)];
    let members: Vec<(Codec, u16)> = codecs.into_iter().cycle().take(100).collect();
    let mut conference = Conference::new(16_000, &members[..99]);
    (0..3).for_each(|member| conference.say(member));
    let expected = |talkers: &[usize], members: usize| -> Vec<Vec<usize>> {
        let others = |member| talkers.iter().copied().filter(|talker| *talker != member).collect();
        (0..members).map(others).collect()
    };
    assert_eq!(conference.hears(99), expected(&[0, 1, 2], 99));
    // One more comes, and one of the talkers is muted.
    conference.call(99, members[99].0, members[99].1);
    conference.join(99, 16_000, MemberOptions::default());
    conference.update(1, MemberOptions { muted: true, ..MemberOptions::default() });
    assert_eq!(conference.hears(100), expected(&[0, 2], 100));
    // It whispers to a member that is silent; another leaves.
    conference.update(1, MemberOptions { coach: Some(leg(50)), ..MemberOptions::default() });
    conference.lab.command(Command::Leave { id: leg(60) });
    let mut coached = expected(&[0, 2], 100);
    (coached[50], coached[60]) = (vec![0, 1, 2], NOBODY);
    assert_eq!(conference.hears(100), coached);
}

#[test]
fn members_come_go_and_are_muted_deafened_and_coached() {
    let mut conference = Conference::new(16_000, &[(Codec::Pcmu, 20), (Codec::G722, 20), (Codec::Pcma, 20)]);
    (0..3).for_each(|member| conference.say(member));
    assert_eq!(conference.hears(3), [vec![1, 2], vec![0, 2], vec![0, 1]]);
    conference.update(0, MemberOptions { muted: true, ..MemberOptions::default() });
    assert_eq!(conference.hears(3), [vec![1, 2], vec![2], vec![1]]);
    conference.update(0, MemberOptions { deaf: true, ..MemberOptions::default() });
    assert_eq!(conference.hears(3), [NOBODY, vec![0, 2], vec![0, 1]]);
    // The first whispers to the second, and hears both.
    conference.update(0, MemberOptions { coach: Some(leg(1)), ..MemberOptions::default() });
    assert_eq!(conference.hears(3), [vec![1, 2], vec![0, 2], vec![1]]);
    // Also where the second says nothing itself.
    conference.hush(1);
    assert_eq!(conference.hears(3), [vec![2], vec![0, 2], NOBODY]);
    conference.say(1);
    conference.call(3, Codec::Opus, 20);
    conference.join(3, 16_000, MemberOptions::default());
    conference.say(3);
    assert_eq!(conference.hears(4), [vec![1, 2, 3], vec![0, 2, 3], vec![1, 3], vec![1, 2]]);
    conference.lab.command(Command::Leave { id: leg(1) });
    conference.lab.command(Command::Close { id: leg(2) });
    assert_eq!(conference.hears(4), [vec![3], NOBODY, NOBODY, NOBODY], "a coach without a pupil is heard by nobody");
}

#[test]
fn a_mix_of_one_is_that_one_sample_by_sample() {
    let mut conference = Conference::new(8_000, &[(Codec::Pcmu, 20), (Codec::Pcmu, 20), (Codec::Pcmu, 20)]);
    conference.lab.run(500);
    conference.lab.command(Command::Capture { id: phone(1), on: true });
    let said = Prompt::new("voice", lab::speech(8_000, 5));
    let expected = said.payload(Codec::Pcmu)[80..].to_vec();
    conference.lab.command(Command::Play { id: phone(0), play: PlayId(1), prompt: Arc::new(said), repeat: 1 });
    conference.lab.run(1_500);
    assert!(conference.lab.captured(phone(1)).find(&expected).is_some());
}

#[test]
fn alone_there_is_music_and_comings_and_goings_sound() {
    let mut conference = Conference { lab: Lab::new(2) };
    conference.call(0, Codec::Pcmu, 20);
    conference.call(1, Codec::Pcmu, 20);
    let sound = |hertz: u32, text: &str| Some(Arc::new(tone(&format!("{hertz}{text}")).unwrap()));
    let options = RoomOptions {
        join_tone: sound(TONES[4], "/1400"),
        leave_tone: sound(TONES[5], "/1400"),
        hold_music: sound(TONES[3], ""),
        ..RoomOptions::default()
    };
    let join = |conference: &mut Conference, member: usize| {
        let (room, options, id) = (ROOM, options.clone(), leg(member));
        conference.lab.command(Command::Join { id, room, options, member: MemberOptions::default() });
    };
    join(&mut conference, 0);
    assert_eq!(conference.hears(1), [vec![3]]);
    join(&mut conference, 1);
    assert_eq!(conference.hears(2), [vec![4], vec![4]]);
    assert_eq!(conference.hears(2), [NOBODY, NOBODY]);
    conference.lab.command(Command::Leave { id: leg(1) });
    assert_eq!(conference.hears(2), [vec![3, 5], NOBODY]);
}

#[test]
fn a_room_may_wait_for_its_moderator() {
    let mut conference = Conference { lab: Lab::new(2) };
    let options = RoomOptions { wait_for_moderator: true, ..RoomOptions::default() };
    for member in 0..3 {
        conference.call(member, Codec::Pcmu, 20);
        conference.say(member);
        if member < 2 {
            let (room, options, id) = (ROOM, options.clone(), leg(member));
            conference.lab.command(Command::Join { id, room, options, member: MemberOptions::default() });
        }
    }
    assert_eq!(conference.hears(2), [NOBODY, NOBODY]);
    let moderator = MemberOptions { moderator: true, ..MemberOptions::default() };
    conference.join(2, 16_000, moderator);
    assert_eq!(conference.hears(3), [vec![1, 2], vec![0, 2], vec![0, 1]]);
}

#[test]
fn a_room_is_recorded_and_names_its_speaker() {
    let mut conference = Conference::new(16_000, &[(Codec::Pcmu, 20), (Codec::G722, 20), (Codec::Pcmu, 20)]);
    let mut options = RecordOptions::new(Path::new("room.wav"));
    options.source = RecordSource::Room;
    conference.lab.command(Command::Record { id: leg(0), record: RecordId(3), options });
    conference.lab.run(1_000);
    conference.say(1);
    conference.lab.run(2_000);
    // Whoever asked for it may go.
    conference.lab.command(Command::Leave { id: leg(0) });
    conference.hush(1);
    conference.say(2);
    conference.lab.run(2_000);
    conference.lab.command(Command::StopRecord { id: leg(0), record: RecordId(3) });
    let speakers: Vec<_> = conference
        .lab
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Speaker { id, room: ROOM } => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(speakers, [leg(1), leg(2)]);
    let mut samples = Vec::new();
    while let Some(output) = conference.lab.shards[0].poll_record() {
        if let RecordOutput::Samples { block, .. } = output {
            samples.extend_from_slice(block.samples());
        }
    }
    assert!((4_980..=5_020).contains(&(samples.len() / 16)), "{} ms", samples.len() / 16);
    let part = |ms: usize| &samples[ms * 16..(ms + 1_000) * 16];
    let tones = |samples: &[i16]| -> Vec<usize> {
        (0..TONES.len()).filter(|&member| level(samples, f64::from(TONES[member]), 16_000.0) > -40.0).collect()
    };
    assert_eq!([tones(part(0)), tones(part(1_500)), tones(part(3_500))], [NOBODY, vec![1], vec![2]]);
    let ended = conference.lab.said(|event| matches!(event, Event::RecordEnded { record: RecordId(3), .. }));
    assert_eq!(ended.len(), 1);
}

#[test]
fn the_last_to_leave_closes_the_room_and_nothing_stays_due() {
    let mut conference = Conference::new(16_000, &[(Codec::Pcmu, 20), (Codec::Pcmu, 20)]);
    conference.lab.run(500);
    for member in 0..2 {
        conference.lab.command(Command::Close { id: leg(member) });
        conference.lab.command(Command::Close { id: phone(member) });
    }
    assert_eq!(conference.lab.shards[0].next_wake(), None);
}

#[test]
fn a_shard_that_was_late_makes_up_for_it() {
    let mut conference = Conference::new(16_000, &[(Codec::Pcmu, 20), (Codec::Pcmu, 20), (Codec::Pcmu, 20)]);
    conference.say(0);
    conference.lab.run(1_000);
    for _ in 0..10 {
        conference.lab.skip(70);
        conference.lab.run(130);
    }
    assert_eq!(conference.hears(3), [NOBODY, vec![0], vec![0]]);
    conference.lab.skip(3_000);
    assert_eq!(conference.hears(3), [NOBODY, vec![0], vec![0]]);
}

#[test]
fn a_stranger_is_not_mixed_and_one_ssrc_on_two_legs_is_two_voices() {
    let mut lab = Lab::new(6);
    for member in 0..3u64 {
        let id = leg(member as usize);
        lab.command(Command::Create { id, rtp_port: 10_000 + 2 * member as u16 });
        lab.configure(id, 20_000 + 2 * member as u16, |_| ());
        lab.command(Command::Join {
            id,
            room: ROOM,
            options: RoomOptions::default(),
            member: MemberOptions::default(),
        });
    }
    let payload = |member: usize, packet: usize| -> Vec<u8> {
        let at =
            |n: usize| (8_000.0 * (std::f64::consts::TAU * f64::from(TONES[member]) * n as f64 / 8_000.0).sin()) as i16;
        (packet * 160..packet * 160 + 160).map(|n| Codec::Pcmu.encode_sample(at(n))).collect()
    };
    for packet in 0..100 {
        // Both members send under one SSRC, sequence and timestamp; a stranger copies the first's and says something else.
        for (member, from) in [(0, 20_000), (1, 20_002), (2, 30_000)] {
            let to = if member == 1 { 10_002 } else { 10_000 };
            let bytes = lab::packet(0, packet == 0, packet as u16, packet as u32 * 160, 7, &payload(member, packet));
            lab.wire.carry(lab::address(from), lab::address(to), &bytes, 0);
        }
        lab.run(20);
    }
    let heard_by = |member: usize| -> Vec<i16> {
        let sent = lab.wire.rtp(leg(member));
        let octets = sent[sent.len() - 50..].iter().flat_map(|packet| packet.payload.clone());
        octets.map(|octet| Codec::Pcmu.decode_sample(octet)).collect()
    };
    assert_eq!([0, 1, 2].map(|member| heard(&heard_by(member))), [vec![1], vec![0], vec![0, 1]]);
    assert_eq!(lab.shards[0].stats().strangers, 100);
}
