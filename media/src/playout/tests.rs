use super::*;
use crate::codec::Encoder;
use base::{Rng, millis};
use std::time::Duration;

/// A voice of a kind: a fundamental that glides, with overtones, in syllables.
fn voice(rate: u32, seconds: f64) -> Vec<i16> {
    let mut phase = 0.0f64;
    let length = (f64::from(rate) * seconds) as usize;
    (0..length)
        .map(|n| {
            let t = n as f64 / f64::from(rate);
            phase += std::f64::consts::TAU * (140.0 + 25.0 * (t * 2.1).sin()) / f64::from(rate);
            let syllable = (t * 3.3 * std::f64::consts::TAU).sin().max(-0.3) + 0.3;
            let harmonics = (1..=8).map(|k| (phase * f64::from(k)).sin() / f64::from(k)).sum::<f64>();
            (4_000.0 * syllable * harmonics) as i16
        })
        .collect()
}

/// A sender, a network and a playout.
struct Line {
    playout: Playout,
    now: Now,
    heard: Vec<i16>,
    arrivals: std::collections::BTreeMap<(u64, u32), (u32, bool, Vec<u8>)>,
    counter: u32,
}

impl Line {
    fn new(playout: Playout) -> Self {
        let now = Now::new(millis(10_000), 0);
        Self { playout, now, heard: Vec::new(), arrivals: Default::default(), counter: 0 }
    }

    /// A packet that arrives at `at` (microseconds since the line began).
    fn arrive(&mut self, at: u64, timestamp: u32, leaps: bool, payload: &[u8]) {
        self.counter += 1;
        self.arrivals.insert((at + 10_000_000, self.counter), (timestamp, leaps, payload.to_vec()));
    }

    /// So many milliseconds pass.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            let until = self.now.mono / 1_000;
            while let Some(entry) = self.arrivals.first_entry()
                && entry.key().0 <= until
            {
                let at = entry.key().0;
                let (timestamp, leaps, payload) = entry.remove();
                self.playout.push(self.playout.codec(), timestamp, leaps, &payload, Now::new(at * 1_000, 0));
            }
            let mut frame = vec![0; self.playout.frame()];
            self.playout.pull(&mut frame, self.now);
            self.heard.extend_from_slice(&frame);
            self.now = self.now.plus(Duration::from_millis(10));
        }
    }

    fn delay_ms(&self) -> i64 {
        self.playout.delay_ms(self.now)
    }
}

/// Sends `said` in packets of 20 ms; `network` says when, in microseconds after it was sent, each arrives, if at all.
fn send(line: &mut Line, codec: Codec, said: &[i16], rate: u32, mut network: impl FnMut(u64) -> Option<u64>) {
    let mut encoder = Encoder::new(codec, rate);
    let mut payload = [0; 1_275];
    for (index, frame) in said.chunks_exact(rate as usize / 50).enumerate() {
        let octets = encoder.encode(frame, &mut payload);
        if let Some(delay) = network(index as u64) {
            let timestamp = 0xFFFF_F000u32.wrapping_add(index as u32 * codec.clock_rate() / 50);
            line.arrive(index as u64 * 20_000 + delay, timestamp, false, &payload[..octets]);
        }
    }
}

fn power(samples: impl Iterator<Item = f64>) -> f64 {
    samples.map(|sample| sample * sample).sum()
}

#[test]
fn a_clean_stream_is_heard_as_it_was_sent_over_the_wrap() {
    let said = voice(8_000, 5.0);
    let mut line = Line::new(Playout::fixed(Codec::Pcmu, 8_000, 60));
    send(&mut line, Codec::Pcmu, &said, 8_000, |_| Some(15_000));
    line.run(5_200);
    let expected: Vec<i16> =
        said.iter().map(|&sample| Codec::Pcmu.decode_sample(Codec::Pcmu.encode_sample(sample))).collect();
    let start = line.heard.windows(400).position(|window| window == &expected[400..800]).unwrap();
    // Its first milliseconds are blended with the silence before it.
    assert!(line.heard[start..].starts_with(&expected[400..]));
    assert_eq!(line.playout.counts.late, 0);
}

/// Error of what is heard under loss, against what is heard without, concealed and with silence in the gaps.
fn errors(codec: Codec, rate: u32, loss: f64) -> (f64, f64) {
    let said = voice(rate, 20.0);
    let mut rng = Rng::from_u64(11);
    let lost: Vec<bool> = (0..1_000).map(|packet| packet > 50 && rng.chance(loss)).collect();
    let heard = |drop: bool| {
        let mut line = Line::new(Playout::fixed(codec, rate, 60));
        send(&mut line, codec, &said, rate, |packet| (!drop || !lost[packet as usize]).then_some(0));
        line.run(20_000);
        line.heard
    };
    let (whole, concealed) = (heard(false), heard(true));
    let packet = rate as usize / 50;
    let delay = rate as usize * 60 / 1000;
    let in_gaps = |n: usize| n >= delay && lost.get((n - delay) / packet).copied().unwrap_or(false);
    let error = |silent: bool| {
        let heard = concealed.iter().enumerate().map(|(n, &heard)| if silent && in_gaps(n) { 0 } else { heard });
        power(whole.iter().zip(heard).map(|(&whole, heard)| f64::from(whole) - f64::from(heard)))
    };
    (error(false), error(true))
}

#[test]
fn concealment_is_nearer_to_the_truth_than_silence() {
    for (codec, rate) in [(Codec::Pcmu, 8_000), (Codec::G722, 16_000), (Codec::Opus, 16_000), (Codec::Opus, 48_000)] {
        for loss in [0.01, 0.03, 0.05] {
            let (error, silence) = errors(codec, rate, loss);
            let margin = 10.0 * (silence / error).log10();
            println!("{codec:?} at {rate}, {} %: {margin:.1} dB nearer than silence", loss * 100.0);
            assert!(margin > 3.0, "{codec:?} at {rate}, {loss}: only {margin:.1} dB nearer than silence");
        }
    }
}

#[test]
fn the_delay_grows_with_a_burst_and_is_back_within_ten_seconds() {
    let said = voice(8_000, 40.0);
    let mut line = Line::new(Playout::adaptive(Codec::Pcma, 8_000));
    // For three seconds the network holds packets up to 250 ms; all that was held comes at once.
    send(&mut line, Codec::Pcma, &said, 8_000, |packet| {
        let at = packet * 20;
        let held = if (10_000..13_000).contains(&at) { 250 - at % 250 } else { 0 };
        Some(5_000 + held * 1_000)
    });
    line.run(9_900);
    assert!(line.delay_ms() < 50, "{} ms before", line.delay_ms());
    line.run(3_000);
    assert!(line.delay_ms() > 150, "{} ms in it", line.delay_ms());
    line.run(10_000);
    assert!(line.delay_ms() < 60, "{} ms ten seconds after", line.delay_ms());
}

#[test]
fn an_hour_of_skew_leaves_neither_gap_nor_delay() {
    for ppm in [200i64, -200] {
        let mut line = Line::new(Playout::adaptive(Codec::Pcmu, 8_000));
        let mut rng = Rng::from_u64(4);
        for packet in 0..180_000i64 {
            let sent = packet * 20_000 + packet * 20_000 * ppm / 1_000_000;
            line.arrive((sent + rng.below(8_000) as i64) as u64, packet as u32 * 160, false, &[0x9F; 160]);
        }
        for minute in 0..58 {
            line.run(60_000);
            assert!(line.delay_ms() < 60, "{ppm} ppm, minute {minute}: {} ms", line.delay_ms());
            line.heard.clear();
        }
        assert!(line.playout.counts.late < 20, "{ppm}: {:?}", line.playout.counts);
        assert!(line.playout.counts.concealed < 8_000, "{ppm}: {:?}", line.playout.counts);
    }
}

#[test]
fn reordered_packets_find_their_places() {
    let said = voice(8_000, 4.0);
    let mut line = Line::new(Playout::adaptive(Codec::Pcmu, 8_000));
    send(&mut line, Codec::Pcmu, &said, 8_000, |packet| Some(if packet % 5 == 4 { 25_000 } else { 0 }));
    line.run(1_000);
    let before = line.playout.counts;
    line.run(3_000);
    assert_eq!(line.playout.counts.concealed, before.concealed, "after the delay has grown nothing is missing");
}

#[test]
fn a_jump_and_another_source_go_on_at_once() {
    for (leaps, jump) in
        [(false, 28_800_000u32), (false, 28_800_000u32.wrapping_neg()), (true, 77), (false, 3_600_000_000)]
    {
        let mut line = Line::new(Playout::adaptive(Codec::Pcmu, 8_000));
        for packet in 0..200u32 {
            let timestamp = packet * 160;
            let (timestamp, first) =
                if packet < 100 { (timestamp, false) } else { (timestamp.wrapping_add(jump), packet == 100) };
            line.arrive(u64::from(packet) * 20_000, timestamp, leaps && first, &[0x10; 160]);
        }
        line.run(4_000);
        let silent = line.heard.chunks(80).skip(10).filter(|frame| frame.iter().all(|&sample| sample == 0)).count();
        assert!(silent <= 20, "{leaps} {jump}: {} ms of silence", silent * 10);
        assert!(line.delay_ms() < 120, "{leaps} {jump}: {} ms", line.delay_ms());
    }
}

#[test]
fn a_change_of_codec_loses_nothing_that_waits_and_keeps_its_clock() {
    let said = crate::tone("300").unwrap();
    for to in [Codec::Pcma, Codec::G722, Codec::Opus] {
        let mut playout = Playout::fixed(Codec::Pcmu, 8_000, 240);
        let (mut old, mut new) = (Encoder::new(Codec::Pcmu, 8_000), Encoder::new(to, 8_000));
        let (mut payload, mut frame, mut heard) = ([0; 1_275], [0; 80], Vec::new());
        for (index, said) in
            said.samples().iter().copied().cycle().take(32_000).collect::<Vec<i16>>().chunks_exact(160).enumerate()
        {
            let now = Now::new(millis(1_000 + 20 * index as u64), 0);
            let (encoder, codec) = if index < 100 { (&mut old, Codec::Pcmu) } else { (&mut new, to) };
            let octets = encoder.encode(said, &mut payload);
            playout.push(codec, index as u32 * codec.clock_rate() / 50, false, &payload[..octets], now);
            for half in 0..2 {
                playout.pull(&mut frame, now.plus(Duration::from_millis(10 * half)));
                heard.extend_from_slice(&frame);
            }
            if index == 13 {
                playout.counts = Counts::default();
            }
        }
        // A place between two clocks is right to a sample.
        assert!(playout.counts.concealed <= 2 && playout.counts.late == 0, "{to:?}: {:?}", playout.counts);
        let silent = heard.chunks(80).skip(24).filter(|frame| frame.iter().all(|&sample| sample == 0)).count();
        assert_eq!(silent, 0, "{to:?}");
    }
}

#[test]
fn a_stream_that_stops_fades_and_comfort_noise_has_its_level() {
    let mut line = Line::new(Playout::adaptive(Codec::Pcmu, 8_000));
    for packet in 0..50u32 {
        line.arrive(u64::from(packet) * 20_000, packet * 160, false, &[0x10; 160]);
    }
    line.run(1_200);
    assert_eq!(line.heard[line.heard.len() - 80..], [0; 80]);
    line.playout.push_noise(40);
    line.heard.clear();
    line.run(1_000);
    let rms = (power(line.heard.iter().map(|&sample| f64::from(sample))) / 8_000.0).sqrt();
    assert!((-20.0 * (rms / 32_768.0).log10() - 40.0).abs() < 1.5, "{rms}");
}

#[test]
fn opus_carries_a_lost_packet_in_the_next() {
    let (with, without) = (errors(Codec::Opus, 16_000, 0.03).0, {
        // The same, but the packet behind each loss is lost to FEC: nothing but what Opus makes up.
        let said = voice(16_000, 20.0);
        let mut rng = Rng::from_u64(11);
        let lost: Vec<bool> = (0..1_000).map(|packet| packet > 50 && rng.chance(0.03)).collect();
        let heard = |drop: bool| {
            let mut line = Line::new(Playout::fixed(Codec::Opus, 16_000, 20));
            send(&mut line, Codec::Opus, &said, 16_000, |packet| {
                (!drop || !lost[packet as usize]).then_some(if packet > 0 && lost[packet as usize - 1] {
                    19_000
                } else {
                    0
                })
            });
            line.run(20_000);
            line.heard
        };
        let (whole, concealed) = (heard(false), heard(true));
        power(whole.iter().zip(&concealed).map(|(&whole, &heard)| f64::from(whole) - f64::from(heard)))
    });
    assert!(with < without, "{with} with FEC, {without} without");
}

#[test]
fn anything_at_any_time_is_survived() {
    let mut rng = Rng::from_u64(9);
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let mut playout = Playout::adaptive(codec, 48_000);
        let mut now = Now::default();
        let mut frame = vec![0; playout.frame()];
        for _ in 0..20_000 {
            let payload: Vec<u8> = (0..rng.below(200)).map(|_| rng.u32() as u8).collect();
            match rng.below(8) {
                0 => playout.push(codec, rng.u32(), rng.chance(0.2), &payload, now),
                1..=3 => playout.push(codec, rng.below(96_000) as u32, false, &payload, now),
                4 => playout.push_noise(rng.u32() as u8),
                5 => now = now.plus(Duration::from_millis(rng.below(3_000))),
                _ => {
                    playout.pull(&mut frame, now);
                    now = now.plus(Duration::from_millis(10));
                }
            }
        }
    }
}

#[test]
fn damaged_opus_among_good_loss_and_lateness_is_survived_and_never_louder_than_full() {
    let said = voice(16_000, 4.0);
    let mut encoder = Encoder::new(Codec::Opus, 16_000);
    let mut payload = [0; 1_275];
    let packets: Vec<Vec<u8>> = said
        .chunks_exact(320)
        .map(|frame| {
            let octets = encoder.encode(frame, &mut payload);
            payload[..octets].to_vec()
        })
        .collect();
    for seed in 0..20 {
        let mut rng = Rng::from_u64(seed);
        let mut line = Line::new(Playout::adaptive(Codec::Opus, [8_000, 16_000, 48_000][seed as usize % 3]));
        for (index, packet) in packets.iter().enumerate() {
            let mut packet = packet.clone();
            if rng.chance(0.2) {
                for _ in 0..=rng.below(3) {
                    let at = rng.below(packet.len() as u64) as usize;
                    packet[at] = rng.u32() as u8;
                }
            }
            if !rng.chance(0.15) {
                line.arrive(index as u64 * 20_000 + rng.below(60_000), index as u32 * 960, false, &packet);
            }
        }
        line.run(4_500);
        assert_eq!(line.heard.len(), 450 * line.playout.frame());
    }
}

/// A word of half a second after three seconds of a quiet room, as it is heard.
fn word_after_quiet(codec: Codec, rests: bool) -> Vec<i16> {
    let rate = 16_000;
    let mut rng = Rng::from_u64(5);
    let mut said: Vec<i16> = (0..3 * rate).map(|_| rng.below(41) as i16 - 20).collect();
    said.extend(voice(rate, 0.5));
    let mut line = Line::new(Playout::fixed(codec, rate, 60));
    line.playout.rest(rests);
    send(&mut line, codec, &said, rate, |_| Some(0));
    line.run(3_700);
    line.heard
}

#[test]
fn a_room_that_is_quiet_is_passed_over_and_a_word_in_it_is_heard_as_well() {
    for (codec, enough) in [(Codec::Opus, 10.0), (Codec::G722, 20.0)] {
        let [whole, rested] = [false, true].map(|rests| word_after_quiet(codec, rests));
        // The quiet is mostly not there: the packets that are looked at are.
        let zeros = |heard: &[i16]| heard[16_000..40_000].iter().filter(|&&sample| sample == 0).count();
        assert!(zeros(&rested) > 18_000 && zeros(&whole) < 12_000, "{} {}", zeros(&rested), zeros(&whole));
        let word = |heard: &[i16]| heard[48_960..56_000].iter().map(|&s| f64::from(s)).collect::<Vec<_>>();
        let (whole, rested) = (word(&whole), word(&rested));
        let error = power(whole.iter().zip(&rested).map(|(whole, rested)| whole - rested));
        let ratio = 10.0 * (power(whole.into_iter()) / error.max(1.0)).log10();
        println!("{codec:?}: {ratio:.1} dB");
        assert!(ratio > enough, "{codec:?}: {ratio:.1} dB");
    }
}

#[test]
fn a_sound_that_a_sender_takes_for_no_voice_is_looked_at_now_and_then() {
    let mut line = Line::new(Playout::fixed(Codec::Opus, 16_000, 60));
    line.playout.rest(true);
    // SILK at 16 kHz with its flags down, whatever else it holds.
    let mut encoder = Encoder::new(Codec::Opus, 16_000);
    let (mut rng, mut payload) = (Rng::from_u64(6), [0; 1_275]);
    for packet in 0..100 {
        let noise: Vec<i16> = (0..320).map(|_| rng.below(2_001) as i16 - 1_000).collect();
        let octets = encoder.encode(&noise, &mut payload);
        payload[1] &= 0x7F;
        line.arrive(packet * 20_000, packet as u32 * 960, false, &payload[..octets]);
    }
    line.run(2_000);
    let loud = line.heard.chunks(320).filter(|frame| frame.iter().any(|&sample| sample.unsigned_abs() > 100)).count();
    assert!((8..40).contains(&loud), "{loud} of 100 packets were looked at");
}

#[test]
fn what_a_silent_sender_of_opus_leaves_out_is_noise_as_loud_as_what_it_sends() {
    let rate = 16_000;
    let mut rng = Rng::from_u64(7);
    let mut said = voice(rate, 1.0);
    // A room some 69 dB below full scale, and a word in it.
    said.extend((0..4 * rate).map(|_| rng.below(41) as i16 - 20));
    said.extend(voice(rate, 0.5));
    let mut encoder = Encoder::new(Codec::Opus, rate);
    let (mut line, mut payload, mut silent, mut left_out) =
        (Line::new(Playout::adaptive(Codec::Opus, rate)), [0; 1_275], 0, 0);
    for (index, frame) in said.chunks_exact(320).enumerate() {
        let octets = encoder.encode(frame, &mut payload);
        // As RFC 7587 §3.1.3 has it: after ten packets in which nobody speaks, one in twenty.
        silent = if opus::is_inactive(&payload[..octets]) { silent + 1 } else { 0 };
        if silent > 10 && silent % 20 != 0 {
            left_out += 1;
            continue;
        }
        line.arrive(index as u64 * 20_000, index as u32 * 960, false, &payload[..octets]);
    }
    assert!(left_out > 100, "the encoder says where nobody speaks: {left_out}");
    line.run(5_700);
    let second = rate as usize;
    let levels: Vec<f32> = line.heard[2 * second..48 * second / 10].chunks(320).map(level_db).collect();
    let (loudest, quietest) = levels.iter().fold((96.0f32, 0.0f32), |(low, high), &db| (low.min(db), high.max(db)));
    assert!(loudest > 60.0 && quietest < 80.0, "from {loudest:.0} to {quietest:.0} dB below full scale");
    let word = level_db(&line.heard[51 * second / 10..55 * second / 10]);
    assert!(word < 30.0, "the word behind it is heard: {word:.0} dB below full scale");
    let concealed = line.playout.counts.concealed;
    assert!(concealed < u64::from(rate) / 10, "nothing is made up for what was not sent: {concealed}");
}
