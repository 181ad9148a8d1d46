//! The far end of an RTP stream, owned by the test: a socket that notes every packet and when it came.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the socket waits before it looks whether the test is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// μ-law silence.
const SILENCE: u8 = 0xFF;

/// One RTP packet, as it arrived.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When.
    pub at: Instant,
    /// The marker bit.
    pub marker: bool,
    /// The payload type.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp, in samples.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// The payload.
    pub payload: Vec<u8>,
}

/// What the far end says meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Not a packet.
    Nothing,
    /// A packet of μ-law silence for each packet that it hears.
    Silence,
    /// For each packet that it hears one that is like no other: this octet, then its own number, forty times.
    Numbers(u8),
}

/// A socket that listens for RTP.
#[derive(Debug)]
pub struct Ear {
    /// Its port on 127.0.0.1.
    pub port: u16,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Heard>>,
}

impl Ear {
    /// Opens it.
    pub fn open(speaks: Speaks) -> Self {
        let (socket, rtcp) = pair();
        socket.set_read_timeout(Some(LOOK_EVERY)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let heard = listen(&socket, speaks, &stopped);
            drop(rtcp);
            heard
        });
        Self { port, stop, thread }
    }

    /// Closes it, and tells what it heard, in the order of arrival.
    pub fn close(self) -> Vec<Heard> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A socket for RTP, and one on the next port: RTCP goes there, and not to whoever else would have that port.
fn pair() -> (UdpSocket, UdpSocket) {
    let bind = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
    let try_pair = || {
        let rtp = bind(0).ok()?;
        let rtcp = bind(rtp.local_addr().ok()?.port().checked_add(1)?).ok()?;
        Some((rtp, rtcp))
    };
    std::iter::repeat_with(try_pair).flatten().next().expect("two free ports in a row")
}

fn listen(socket: &UdpSocket, speaks: Speaks, stop: &AtomicBool) -> Vec<Heard> {
    let mut heard = Vec::new();
    let mut buffer = [0; 2_048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let at = Instant::now();
        heard.push(read(&buffer[..length], at));
        let said = match speaks {
            Speaks::Nothing => continue,
            Speaks::Silence => packet(heard.len() as u16, &[SILENCE; 160]),
            Speaks::Numbers(octet) => packet(heard.len() as u16, &number(octet, heard.len() as u16)),
        };
        let _ = socket.send_to(&said, from);
    }
    heard
}

fn read(packet: &[u8], at: Instant) -> Heard {
    let rtp = rtp_rs::RtpReader::new(packet).unwrap_or_else(|error| panic!("not RTP: {error:?}: {packet:02x?}"));
    Heard {
        at,
        marker: rtp.mark(),
        payload_type: rtp.payload_type(),
        sequence: rtp.sequence_number().into(),
        timestamp: rtp.timestamp(),
        ssrc: rtp.ssrc(),
        payload: rtp.payload().to_vec(),
    }
}

/// What [`Speaks::Numbers`] says in its nth packet.
pub fn number(octet: u8, nth: u16) -> Vec<u8> {
    let [high, low] = nth.to_be_bytes();
    [octet, high, low, octet].repeat(40)
}

/// The nth packet (RFC 3550 §5.1).
fn packet(nth: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(nth.to_be_bytes());
    packet.extend((u32::from(nth) * 160).to_be_bytes());
    packet.extend(0x7e57_0001_u32.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A gap between two packets as no switch that is given the processor makes it. The switch makes up for 200 ms and lets
/// go of what is later (media's `MAX_BEHIND`).
const STALL: Duration = Duration::from_millis(150);
/// How often [`undisturbed`] tries.
const ATTEMPTS: usize = 3;

/// Makes calls until their streams came without a stall of this machine; the last attempt is taken as it is. A machine
/// that does not run the switch for a fifth of a second shows nothing about its pacing.
pub fn undisturbed(mut calls: impl FnMut() -> Vec<Vec<Heard>>) -> Vec<Vec<Heard>> {
    for _ in 1..ATTEMPTS {
        let heard = calls();
        let gaps = heard.iter().flat_map(|stream| stream.windows(2)).map(|pair| pair[1].at.duration_since(pair[0].at));
        let worst = gaps.max().unwrap_or_default();
        if worst < STALL {
            return heard;
        }
        eprintln!("this machine stood still for {worst:?} in the middle of a call: again");
    }
    calls()
}

/// How late packets came against the 20 ms grid of their own timestamps, in milliseconds: (50 %, 99 %, the latest). The
/// grid is laid through the earliest packet, so this is the spread of the pacing and of this machine together.
pub fn lateness(heard: &[Heard]) -> (f64, f64, f64) {
    let Some(first) = heard.first() else { return (0.0, 0.0, 0.0) };
    let due = |packet: &Heard| f64::from(packet.timestamp.wrapping_sub(first.timestamp)) / 8.0;
    let came = |packet: &Heard| packet.at.duration_since(first.at).as_secs_f64() * 1_000.0;
    let mut late: Vec<f64> = heard.iter().map(|packet| came(packet) - due(packet)).collect();
    late.sort_by(f64::total_cmp);
    let earliest = late[0];
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize] - earliest;
    (at(0.5), at(0.99), at(1.0))
}
