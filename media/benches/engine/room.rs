//! A conference over sockets: every member sends and is sent 50 packets a second. Three talk, the others send what a
//! quiet room sounds like, encoded as a phone would: a decoder has work with each.

use super::bare::cpu_of;
use super::far::pin;
use super::ours::{configure_as, engine, open};
use base::Rng;
use media::{Codec, Command, Encoder, EndpointId, MemberOptions, RoomId, RoomOptions};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Packets of a stream before it begins again: two seconds.
const PACKETS: usize = 100;

/// Samples a second that rooms mix at.
const RATE: u32 = 16_000;

/// What a quiet room sounds like, below the level that is mixed: noise of this amplitude, 67 dB below full scale.
const QUIET: u64 = 25;

/// What one run brought.
pub struct Shown {
    /// CPU of the engine's thread, in hundredths of a core.
    pub share: f64,
    pub sent: u64,
    pub received: u64,
}

/// What the far ends' thread counts while it is measured.
#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
}

/// One run: so many members of a codec, of whom so many talk.
pub fn run(codec: Codec, members: usize, talkers: usize, measured: Duration) -> Shown {
    let socket = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let sockets: Vec<_> = (0..members).map(|_| socket()).collect();
    let (mut engine, events, task) = engine(0);
    let mut to = Vec::new();
    for (leg, socket) in sockets.iter().enumerate() {
        to.push(SocketAddr::from((Ipv4Addr::LOCALHOST, open(&mut engine, &events, leg, 10_000))));
        configure_as(&mut engine, leg, socket.local_addr().unwrap(), codec);
        let options = RoomOptions { rate: RATE, ..RoomOptions::default() };
        let (id, member) = (EndpointId(leg as u64), MemberOptions::default());
        engine.send(Command::Join { id, room: RoomId(1), options, member }).unwrap();
    }
    let counts = Arc::new(Counts::default());
    let streams = streams(codec, members, talkers);
    let theirs = counts.clone();
    let far = std::thread::spawn(move || converse(codec, &sockets, &to, &streams, &theirs));
    std::thread::sleep(Duration::from_secs(2));
    let seen = || (counts.sent.load(Ordering::Relaxed), counts.received.load(Ordering::Relaxed));
    let (before, cpu, began) = (seen(), cpu_of(task), Instant::now());
    std::thread::sleep(measured);
    let (after, used, lasted) = (seen(), cpu_of(task) - cpu, began.elapsed());
    counts.stop.store(true, Ordering::Relaxed);
    far.join().unwrap();
    Shown {
        share: used as f64 / lasted.as_nanos() as f64 * 100.0,
        sent: after.0 - before.0,
        received: after.1 - before.1,
    }
}

/// Two seconds of payloads for each member: the talkers' tones, then noise of each member's own.
fn streams(codec: Codec, members: usize, talkers: usize) -> Vec<Vec<Vec<u8>>> {
    let mut rng = Rng::from_u64(7);
    let frame = RATE as usize / 50;
    let mut noise = || (0..frame * PACKETS).map(|_| rng.below(2 * QUIET + 1) as i16 - QUIET as i16).collect();
    // Whole tens of Hz: each comes round in the two seconds.
    let voice = |talker: usize| -> Vec<i16> {
        let wave = |hertz: usize, at: usize| (std::f32::consts::TAU * (hertz * at) as f32 / RATE as f32).sin();
        let sample = |at: usize| 4_000.0 * (wave(300 + 70 * talker, at) + wave(900 + 110 * talker, at));
        (0..frame * PACKETS).map(|at| sample(at) as i16).collect()
    };
    (0..members)
        .map(|member| {
            let samples: Vec<i16> = if member < talkers { voice(member) } else { noise() };
            let (mut encoder, mut payload) = (Encoder::new(codec, RATE), [0; 1_500]);
            let packet = |samples: &[i16]| {
                let length = encoder.encode(samples, &mut payload);
                payload[..length].to_vec()
            };
            samples.chunks_exact(frame).map(packet).collect()
        })
        .collect()
}

/// Speaks for all of them, a twentieth each millisecond, and reads what comes.
fn converse(codec: Codec, sockets: &[UdpSocket], to: &[SocketAddr], streams: &[Vec<Vec<u8>>], counts: &Counts) {
    pin(std::thread::available_parallelism().map_or(0, |cores| cores.get() - 1));
    let (origin, mut buffer) = (Instant::now(), [0; 1_500]);
    let ticks = codec.clock_rate() / 50;
    for tick in 0u64.. {
        std::thread::sleep(Duration::from_millis(tick).saturating_sub(origin.elapsed()));
        if counts.stop.load(Ordering::Relaxed) {
            return;
        }
        let number = tick / 20;
        for member in (tick as usize % 20..sockets.len()).step_by(20) {
            let payload = &streams[member][number as usize % PACKETS];
            let mut packet = vec![0x80, codec.payload_type()];
            packet.extend((number as u16).to_be_bytes());
            packet.extend((number as u32).wrapping_mul(ticks).to_be_bytes());
            packet.extend((member as u32 + 1).to_be_bytes());
            packet.extend(payload);
            counts.sent.fetch_add(u64::from(sockets[member].send_to(&packet, to[member]).is_ok()), Ordering::Relaxed);
            while sockets[member].recv(&mut buffer).is_ok() {
                counts.received.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
