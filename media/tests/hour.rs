//! An hour of a dual recording, on a virtual clock: two far ends whose clocks drift apart, loss, jitter and a re-INVITE,
//! and both channels in step to the millisecond.
//!
//! Each far end beeps every second, the right one a quarter of a second after the left. The left one's beep glides up, the
//! right one's down, so that each resembles itself at one place only: where on the tape it lies is where its correlation
//! with the beep as it was made is highest. A packet that was lost hides a fifth of a beep, and not where it is: that much
//! of it is left out of the comparison.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use base::{Now, Rng, millis};
use lab::{address, config, packet};
use media::{
    Channel, Codec, Command, EndpointId, Leg, PacketIo, RecordId, RecordOptions, RecordOutput, RecordSource,
    SendResult, Shard, ShardConfig,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

const LEFT: EndpointId = EndpointId(1);
const RIGHT: EndpointId = EndpointId(2);

/// Samples of a beep, a tenth of a second, and of the far ends' offset.
const BEEP: usize = 800;
const OFFSET: i64 = 2_000;

/// How far from where it should be a beep is looked for, in samples: 15 ms, the jitter.
const REACH: i64 = 120;

/// How long what returns after a loss is blended with what was made up, and the clocks' difference, in seconds.
const BLEND: f64 = 0.005;

/// The energy of a fifth of a beep.
const LEAST: f32 = BEEP as f32 / 5.0 * 9_000.0 * 9_000.0 / 2.0;

/// What is 1 ms.
const MILLISECOND: i64 = 8;

/// A packet of 20 ms leaves when its time is over, and is 10 ms on its way at least: so much later it all is on tape.
const ON_ITS_WAY: i64 = 240;

/// A beep so many seconds after it began: between 300 and 1,000 Hz.
fn beep(up: bool, at: f64) -> i16 {
    let cycles = if up { 300.0 * at + 3_500.0 * at * at } else { 1_000.0 * at - 3_500.0 * at * at };
    if at < 0.1 { (9_000.0 * (std::f64::consts::TAU * cycles).cos()) as i16 } else { 0 }
}

/// A far end whose clock is `ppm` quick, on a network that loses 3 % and delays by up to 15 ms more than it must.
struct Far {
    id: EndpointId,
    from: u16,
    ppm: f64,
    /// When it beeps in each second of the world's, and which way.
    offset: f64,
    up: bool,
    index: u64,
    codec: Codec,
    ssrc: u32,
    base: u32,
    rng: Rng,
    lost: BTreeSet<u64>,
}

impl Far {
    /// The world's time of its samples, in seconds.
    fn at(&self, sample: u64) -> f64 {
        sample as f64 / (8_000.0 * (1.0 + self.ppm * 1e-6))
    }

    /// When a packet leaves: when its time is over.
    fn sent(&self, index: u64) -> f64 {
        self.at((index + 1) * 160)
    }

    /// When its next packet arrives, in nanoseconds, and the packet, unless it is lost.
    fn next(&mut self) -> (u64, Option<Vec<u8>>) {
        let start = self.index * 160;
        let sample = |n: u64| beep(self.up, (self.at(n) + 1.0 - self.offset).fract());
        let payload: Vec<u8> = (start..start + 160).map(|n| self.codec.encode_sample(sample(n))).collect();
        let arrives = self.sent(self.index) * 1e9 + 10e6 + self.rng.below(15_000_000) as f64;
        let timestamp = (start as u32).wrapping_add(self.base);
        let bytes = packet(self.codec.payload_type(), false, self.index as u16, timestamp, self.ssrc, &payload);
        let lost = self.rng.chance(0.03);
        if lost {
            self.lost.insert(self.index);
        }
        self.index += 1;
        (arrives as u64, (!lost).then_some(bytes))
    }

    /// The beep of that second as it was made, without what was lost, and where a loss is blended with what follows.
    fn beep(&self, second: i64) -> Vec<f32> {
        let begins = second as f64 + self.offset;
        let heard = |at: f64| !self.lost.contains(&((at / self.at(160)) as u64));
        let sample = |at: f64| if heard(begins + at) && heard(begins + at - BLEND) { beep(self.up, at) } else { 0 };
        (0..BEEP).map(|n| f32::from(sample(n as f64 / 8_000.0))).collect()
    }
}

struct Nowhere;

impl PacketIo for Nowhere {
    fn send(&mut self, _: Leg, _: Channel, _: SocketAddr, _: &[u8]) -> SendResult {
        SendResult::Sent
    }
}

/// A shard with two legs that are bridged, of which the left one records both.
struct World {
    shard: Shard,
    now: Now,
    fars: [Far; 2],
    pending: BTreeMap<(u64, u64), (EndpointId, u16, Vec<u8>)>,
    tape: Vec<i16>,
}

impl World {
    fn new(ppm: f64, seed: u64) -> Self {
        let far = |id, from, ppm, offset, up, seed| Far {
            id,
            from,
            ppm,
            offset,
            up,
            index: 0,
            codec: Codec::Pcmu,
            ssrc: 1,
            base: 4_294_000_000,
            rng: Rng::from_u64(seed),
            lost: BTreeSet::new(),
        };
        let fars = [far(LEFT, 10_000, ppm, 0.2, true, 2 * seed), far(RIGHT, 10_002, -ppm, 0.45, false, 2 * seed + 1)];
        let shard = Shard::new(ShardConfig::default(), Rng::from_u64(5));
        let mut world = Self { shard, now: Now::new(0, 0), fars, pending: BTreeMap::new(), tape: Vec::new() };
        for id in [LEFT, RIGHT] {
            world.command(Command::Create { id, rtp_port: 20_000 });
        }
        world.configure(Codec::Pcmu);
        world.command(Command::Bridge { id: LEFT, with: RIGHT });
        let options = RecordOptions { source: RecordSource::Dual, ..RecordOptions::new(Path::new("nowhere.wav")) };
        world.command(Command::Record { id: LEFT, record: RecordId(1), options });
        world
    }

    fn command(&mut self, command: Command) {
        self.shard.command(command, self.now, &mut Nowhere);
    }

    fn configure(&mut self, codec: Codec) {
        for (id, remote) in [(LEFT, 10_000), (RIGHT, 10_002)] {
            let mut stream = config(remote);
            stream.codec = codec;
            (stream.payload_type_in, stream.payload_type_out) = (codec.payload_type(), codec.payload_type());
            self.command(Command::Configure { id, config: stream });
        }
    }

    /// Time passes, until so many milliseconds after the beginning.
    fn run(&mut self, until_ms: u64) {
        while self.now.mono < millis(until_ms) {
            self.now = Now::new(self.now.mono + millis(5), 0);
            for far in &mut self.fars {
                while far.sent(far.index) <= self.now.mono as f64 / 1e9 {
                    if let (at, Some(bytes)) = far.next() {
                        self.pending.insert((at, far.id.0), (far.id, far.from, bytes));
                    }
                }
            }
            while let Some(entry) = self.pending.first_entry()
                && entry.key().0 <= self.now.mono
            {
                let at = Now::new(entry.key().0, 0);
                let (id, from, bytes) = entry.remove();
                self.shard.receive(id, Channel::Rtp, address(from), &bytes, at, &mut Nowhere);
            }
            self.shard.tick(self.now, &mut Nowhere);
            while self.shard.poll_event().is_some() {}
            while let Some(output) = self.shard.poll_record() {
                if let RecordOutput::Samples { block, .. } = output {
                    self.tape.extend_from_slice(block.samples());
                    self.shard.recycle(block);
                }
            }
        }
    }

    /// Of every second: how far the right channel's beep is from a quarter of a second after the left one's, in samples.
    /// `None`: one of them is not there, or less than a fifth of it was heard.
    fn errors(&self) -> Vec<Option<i64>> {
        let [left, right] =
            [0, 1].map(|channel| self.tape.iter().skip(channel).step_by(2).copied().collect::<Vec<i16>>());
        let seconds = (left.len() as i64 - 8_000) / 8_000;
        let [left_far, right_far] = &self.fars;
        (0..seconds)
            .map(|second| {
                let begins = second * 8_000 + 1_600 + ON_ITS_WAY;
                let left = place(&left, &left_far.beep(second), begins)?;
                Some(place(&right, &right_far.beep(second), begins + OFFSET)? - left - OFFSET)
            })
            .collect()
    }
}

/// Where that lies which was made to be near `near`.
fn place(tape: &[i16], made: &[f32], near: i64) -> Option<i64> {
    let whole = made.iter().map(|sample| sample * sample).sum::<f32>();
    if whole < LEAST {
        return None;
    }
    let likeness = |at: i64| {
        let heard = &tape[at as usize..at as usize + BEEP];
        heard.iter().zip(made).map(|(&heard, &made)| f32::from(heard) * made).sum::<f32>()
    };
    let (likest, at) = (near - REACH..=near + REACH)
        .map(|at| (likeness(at), at))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .unwrap();
    (likest > 0.5 * whole).then_some(at)
}

/// Whether they are in step within a millisecond.
fn in_step(error: &Option<i64>) -> bool {
    error.is_some_and(|error| error.abs() <= MILLISECOND)
}

/// The largest of them, either way.
fn worst(errors: &[Option<i64>]) -> i64 {
    errors.iter().flatten().map(|error| error.abs()).max().unwrap_or(0)
}

#[test]
fn two_channels_stay_in_step_for_an_hour_of_skew_loss_jitter_and_a_reinvite() {
    const HOUR: u64 = 3_600_000;
    let mut world = World::new(200.0, 1);
    world.run(HOUR / 2);
    // What is sent from here on is PCMA. What is still on its way as PCMU is lost.
    world.fars.iter_mut().for_each(|far| far.codec = Codec::Pcma);
    world.configure(Codec::Pcma);
    world.run(HOUR + 1_500);
    let errors = world.errors();
    let near = errors.iter().filter(|error| in_step(error)).count();
    let parts: Vec<i64> = errors.chunks(600).map(worst).collect();
    println!(
        "{near} of {} beeps in step within 1 ms; the worst of each ten minutes, in samples: {parts:?}",
        errors.len()
    );
    assert!(errors.len() >= 3_600 && near == errors.len(), "{near} of {}", errors.len());
}

/// A clock that nobody has heard before is known after seconds, and what it says until then is some milliseconds astray.
#[test]
fn clocks_that_are_new_are_in_step_after_ten_seconds() {
    for seed in 2..10 {
        let mut world = World::new(-200.0, seed);
        world.run(60_000);
        for far in &mut world.fars {
            (far.codec, far.ssrc, far.base) = (Codec::Pcma, 2, 77);
        }
        world.configure(Codec::Pcma);
        world.run(121_500);
        let errors = world.errors();
        println!("seed {seed}, the worst in samples: {:?}", errors.chunks(10).map(worst).collect::<Vec<i64>>());
        let known = errors[10..60].iter().chain(&errors[70..120]);
        assert!(known.clone().all(in_step), "seed {seed}: {:?}", known.collect::<Vec<_>>());
    }
}
