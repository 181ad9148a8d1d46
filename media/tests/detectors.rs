//! What a shard says of a far end's sound: speech, beeps, and who answered.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use lab::Lab;
use media::detect::{beep::BeepConfig, machine::Answerer, machine::MachineConfig, voice::VoiceConfig};
use media::{Codec, Command, Detect, EndpointId, Event, PlayId, Prompt, tone};
use std::sync::Arc;

fn call(detect: Detect, codec: Codec) -> (Lab, EndpointId, EndpointId) {
    let mut lab = Lab::new(3);
    let (far, leg) = lab.pair(|stream| {
        stream.codec = codec;
        (stream.payload_type_in, stream.payload_type_out) = (codec.payload_type(), codec.payload_type());
    });
    lab.command(Command::Detect { id: leg, detect });
    (lab, far, leg)
}

fn play(lab: &mut Lab, id: EndpointId, prompt: Prompt) {
    lab.command(Command::Play { id, play: PlayId(1), prompt: Arc::new(prompt), repeat: 1 });
}

#[test]
fn speech_and_its_end_are_said_in_every_codec() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let (mut lab, far, leg) = call(Detect { voice: Some(VoiceConfig::default()), ..Detect::default() }, codec);
        lab.run(500);
        let began = lab.ms();
        play(&mut lab, far, tone("200+450+900/1000,0/2000").unwrap());
        lab.run(3_000);
        let started = lab.said(|event| matches!(event, Event::SpeechStarted { id } if *id == leg));
        let ended = lab.said(|event| matches!(event, Event::SpeechEnded { id } if *id == leg));
        let after = |times: Vec<u64>| times.iter().map(|at| at - began).collect::<Vec<_>>();
        let (started, ended) = (after(started), after(ended));
        assert!(matches!(started[..], [100..=240]), "{codec:?}: started {started:?}");
        assert!(matches!(ended[..], [1_250..=1_480]), "{codec:?}: ended {ended:?}");
    }
}

#[test]
fn who_answered_is_said_once_and_a_beep_when_it_is_over() {
    let detect = Detect { machine: Some(MachineConfig::default()), beep: Some(BeepConfig::default()), voice: None };
    let (mut lab, far, leg) = call(detect, Codec::Pcma);
    lab.wire.rules.loss = 0.02;
    play(&mut lab, far, tone("200+450+900/3000,0/400,1000/400,0/3000").unwrap());
    lab.run(6_000);
    let answered: Vec<_> = lab
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Answered { id, decision } if *id == leg => Some(decision.answerer),
            _ => None,
        })
        .collect();
    assert_eq!(answered, [Answerer::Machine]);
    let beeps = lab.said(|event| matches!(event, Event::Beep { hertz: 970..=1_030, .. }));
    assert_eq!(beeps.len(), 1, "{:?}", lab.events);
}

#[test]
fn nothing_is_said_when_nothing_is_listened_for() {
    let (mut lab, far, leg) = call(Detect { voice: Some(VoiceConfig::default()), ..Detect::default() }, Codec::Pcmu);
    lab.run(200);
    lab.command(Command::Detect { id: leg, detect: Detect::default() });
    play(&mut lab, far, tone("200+450+900/1000").unwrap());
    lab.run(2_000);
    assert!(lab.said(|event| matches!(event, Event::SpeechStarted { .. } | Event::SpeechEnded { .. })).is_empty());
}
