//! What is on tape: two clocks in step for an hour, pauses, limits and keys; and files that are whole whatever happens.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use lab::Lab;
use media::{
    Codec, Command, EndpointId, Event, PlayId, Prompt, RecordEnd, RecordId, RecordOptions, RecordOutput, RecordSource,
    Shard, tone,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const TAPE: RecordId = RecordId(7);

/// What the rim would have on disk.
#[derive(Debug, Default)]
struct Files {
    samples: BTreeMap<RecordId, Vec<i16>>,
    closed: usize,
}

impl Files {
    fn drain(&mut self, shard: &mut Shard) {
        while let Some(output) = shard.poll_record() {
            match output {
                RecordOutput::Open { record, .. } => assert!(self.samples.insert(record, Vec::new()).is_none()),
                RecordOutput::Samples { record, block } => {
                    self.samples.get_mut(&record).unwrap().extend_from_slice(block.samples());
                    shard.recycle(block);
                }
                RecordOutput::Close { record, trim } => {
                    let samples = self.samples.get_mut(&record).unwrap();
                    samples.truncate(samples.len() - trim as usize);
                    self.closed += 1;
                }
            }
        }
    }
}

fn options(change: impl FnOnce(&mut RecordOptions)) -> RecordOptions {
    let mut options = RecordOptions::new(Path::new("nowhere.wav"));
    change(&mut options);
    options
}

/// Alice's phone (1) talks to our leg (2), which records.
fn call(options: RecordOptions) -> Lab {
    let mut lab = Lab::new(1);
    lab.pair(|_| ());
    lab.command(Command::Record { id: EndpointId(2), record: TAPE, options });
    lab
}

fn say(lab: &mut Lab, prompt: Prompt) {
    lab.command(Command::Play { id: EndpointId(1), play: PlayId(1), prompt: Arc::new(prompt), repeat: 1 });
}

fn ended(lab: &Lab) -> Option<(u64, u64, RecordEnd)> {
    lab.events.iter().find_map(|(_, event)| match event {
        Event::RecordEnded { id: EndpointId(2), record: TAPE, duration_ms, octets, reason } => {
            Some((*duration_ms, *octets, reason.clone()))
        }
        _ => None,
    })
}

fn stop(lab: &mut Lab) -> Vec<i16> {
    lab.command(Command::StopRecord { id: EndpointId(2), record: TAPE });
    let mut files = Files::default();
    files.drain(&mut lab.shards[0]);
    files.samples.remove(&TAPE).unwrap()
}

fn position(heard: &[i16], said: &[i16]) -> Option<usize> {
    heard.windows(said.len()).position(|window| window == said)
}

#[test]
fn what_was_said_is_on_tape_sample_by_sample_and_the_times_add_up() {
    let mut lab = call(options(|_| ()));
    let said = lab::speech(8_000, 3);
    lab.run(300);
    say(&mut lab, Prompt::new("voice", said.clone()));
    lab.run(1_700);
    let heard = stop(&mut lab);
    assert_eq!(heard.len(), 16_000, "two seconds from command to command");
    let expected: Vec<i16> =
        said.iter().map(|&sample| Codec::Pcmu.decode_sample(Codec::Pcmu.encode_sample(sample))).collect();
    let at = position(&heard, &expected[80..]).unwrap() as i64 - 80;
    assert!((at - 2_400).abs() <= 160, "said at 300 ms, on tape at sample {at}");
    assert_eq!(ended(&lab), Some((2_000, 44 + 32_000, RecordEnd::Stopped)));
}

#[test]
fn both_directions_are_two_channels_or_one() {
    let low = tone("400").unwrap();
    let high = Arc::new(tone("1100").unwrap());
    for source in [RecordSource::Dual, RecordSource::Mixed] {
        let mut lab = call(options(|options| options.source = source));
        say(&mut lab, Prompt::new("low", low.samples().to_vec()));
        lab.command(Command::Play { id: EndpointId(2), play: PlayId(2), prompt: high.clone(), repeat: 1 });
        lab.run(1_000);
        let tape = stop(&mut lab);
        let crossings = |samples: Vec<i16>| samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        match source {
            RecordSource::Dual => {
                let channel = |n: usize| tape.iter().skip(n).step_by(2).copied().skip(1_600).take(4_000).collect();
                assert_eq!((crossings(channel(0)), crossings(channel(1))), (200, 550));
            }
            _ => {
                let power = |samples: &[i16]| samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
                let ratio = power(&tape[1_600..5_600]) / power(&low.samples()[1_600..5_600]);
                assert!((1.8..2.2).contains(&ratio), "{ratio}");
            }
        }
    }
}

#[test]
fn a_pause_is_left_out_without_a_gap() {
    let mut lab = call(options(|_| ()));
    let said = Arc::new(tone("500").unwrap());
    lab.command(Command::Play { id: EndpointId(1), play: PlayId(1), prompt: said, repeat: 0 });
    lab.run(1_000);
    for paused in [true, false] {
        lab.command(Command::PauseRecord { id: EndpointId(2), record: TAPE, paused });
        lab.run(3_000);
    }
    let heard = stop(&mut lab);
    assert_eq!(heard.len(), 32_000);
    assert!(heard[800..].chunks(80).all(|frame| frame.iter().any(|&sample| sample.abs() > 1_000)), "no hole");
}

#[test]
fn a_key_the_length_and_silence_end_it() {
    let mut lab = call(options(|options| options.finish = "#*".into()));
    lab.run(500);
    lab.command(Command::SendDigits { id: EndpointId(1), digits: "1#".into(), tone_ms: 60, gap_ms: 60 });
    lab.run(1_000);
    assert!(matches!(ended(&lab), Some((_, _, RecordEnd::Key('#')))), "{:?}", ended(&lab));
    assert_eq!(lab.digits(EndpointId(2)), "1#", "and is a digit all the same");

    let mut lab = call(options(|options| options.max_ms = Some(1_500)));
    lab.run(3_000);
    assert_eq!(ended(&lab), Some((1_500, 44 + 24_000, RecordEnd::MaxLength)));

    for trim in [false, true] {
        let mut lab = call(options(|options| (options.silence_ms, options.trim) = (Some(2_000), trim)));
        lab.run(200);
        say(&mut lab, tone("300+700/1500").unwrap());
        lab.run(6_000);
        let Some((duration, _, RecordEnd::Silence)) = ended(&lab) else { panic!("{:?}", lab.events) };
        let expected = if trim { 1_700..2_100 } else { 3_700..4_100 };
        assert!(expected.contains(&duration), "trim {trim}: {duration} ms");
        let mut files = Files::default();
        files.drain(&mut lab.shards[0]);
        assert_eq!((files.samples[&TAPE].len() as u64 / 8, files.closed), (duration, 1));
    }
}

#[test]
fn a_beep_is_heard_and_not_recorded() {
    let mut lab = call(options(|options| options.beep = true));
    lab.command(Command::Capture { id: EndpointId(1), on: true });
    lab.run(2_000);
    let beep = lab.captured(EndpointId(1)).pcm();
    let loud = beep.chunks(80).filter(|frame| frame.iter().any(|&sample| sample.abs() > 3_000)).count();
    assert!((23..=27).contains(&loud), "{loud} frames of beep");
    let heard = stop(&mut lab);
    assert_eq!(heard.len(), 1_700 * 8);
    assert!(lab.said(|event| matches!(event, Event::PlayEnded { .. })).is_empty());
}

#[test]
fn a_rim_that_takes_nothing_costs_the_recordings_and_not_the_call() {
    let mut lab = Lab::new(1);
    let (alice, leg) = lab.pair(|_| ());
    for record in 0..4 {
        let options = options(|options| (options.rate, options.source) = (48_000, RecordSource::Dual));
        lab.command(Command::Record { id: leg, record: RecordId(record), options });
    }
    lab.command(Command::Record { id: leg, record: RecordId(9), options: options(|_| ()) });
    assert_eq!(lab.said(|event| matches!(event, Event::Failed { .. })).len(), 1, "the fifth is refused");
    lab.wire.quiet = true;
    lab.run(100_000);
    let slow = |event: &Event| matches!(event, Event::RecordEnded { reason: RecordEnd::Slow, .. });
    assert_eq!(lab.said(slow).len(), 4);
    let (quality, _) = lab.close(alice);
    assert_eq!(quality.received.lost, 0);
}

#[test]
fn the_end_of_the_endpoint_ends_its_recordings_first() {
    let mut lab = call(options(|_| ()));
    lab.run(500);
    lab.close(EndpointId(2));
    let last: Vec<_> = lab.events.iter().map(|(_, event)| event).filter(|event| event.id() == EndpointId(2)).collect();
    assert!(matches!(
        last[last.len() - 2..],
        [Event::RecordEnded { reason: RecordEnd::Closed, .. }, Event::Closed { .. }]
    ));
}
