//! The far ends: a socket each, all on one thread of their own. Each speaks 50 packets a second where it shall, spread
//! over 20 phases of a millisecond. Each is read once a packet time, on this thread's own clock: whatever waits on a socket
//! is woken by whoever sends to it, and that would be charged to the subject. The kernel stamps each packet as it comes.

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::fmt;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

/// Nanoseconds between two packets of a stream.
const PACKET_TIME: i64 = 20_000_000;

/// What the measured part of a run brought.
#[derive(Default)]
pub struct Seen {
    pub received: u64,
    /// Packets that should have come.
    pub expected: u64,
    /// Nanoseconds each packet took from mouth to ear, or by which it left the grid of its stream's earliest.
    pub delays: Vec<u32>,
    pub is_grid: bool,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.received as f64 / self.expected.max(1) as f64 * 100.0;
        let at = |part: usize| self.delays.get(self.delays.len() * part / 1000).map_or(0, |delay| delay / 1000);
        let what = if self.is_grid { "late" } else { "delay" };
        let max = self.delays.last().map_or(0, |delay| delay / 1000);
        let (received, p50, p99) = (self.received, at(500), at(990));
        write!(f, "{received} packets ({share:.2} %), {what} p50 {p50} µs, p99 {p99} µs, max {max} µs")
    }
}

pub fn raise_limits() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// The far ends' core. Asked for first before any thread is bound: afterwards a thread sees its own core alone.
pub fn last_core() -> usize {
    static LAST: OnceLock<usize> = OnceLock::new();
    *LAST.get_or_init(|| std::thread::available_parallelism().map_or(0, |cores| cores.get() - 1))
}

/// Binds the calling thread to one core: 0 is the subject's, the last the far ends'.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // A machine with one core measures worse, and says so by its figures.
    let _ = sched_setaffinity(None, &set);
}

pub struct Far {
    sockets: Vec<UdpSocket>,
}

pub struct Running {
    measuring: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    result: mpsc::Receiver<Seen>,
}

impl Far {
    pub fn new(legs: usize) -> Self {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
            socket
        };
        Self { sockets: (0..legs).map(|_| socket()).collect() }
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect()
    }

    /// Starts; each socket speaks to the leg of its own number. Where they hear themselves, by way of another leg, it is the
    /// delay that is measured, else the grid.
    pub fn start(self, to: Vec<u16>, speaks: bool, hears_itself: bool) -> Running {
        let (measuring, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (sender, result) = mpsc::channel();
        let flags = (measuring.clone(), stop.clone());
        std::thread::spawn(move || {
            pin(last_core());
            // Where it is refused, the ticks are a little late.
            let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
            sender.send(Talk::new(self.sockets, to, speaks, hears_itself).run(&flags.0, &flags.1)).unwrap();
        });
        Running { measuring, stop, result }
    }
}

impl Running {
    pub fn begin(&mut self) {
        self.measuring.store(true, Ordering::SeqCst);
    }

    pub fn end(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        self.result.recv().unwrap()
    }
}

struct Talk {
    sockets: Vec<UdpSocket>,
    packets: Vec<[u8; 172]>,
    speaks: bool,
    hears_itself: bool,
    origin: Instant,
    received: u64,
    delays: Vec<u32>,
    /// When each stream's packets came, beside the grid of its first one.
    offsets: Vec<Vec<i32>>,
    firsts: Vec<Option<i64>>,
    control: Vec<u8>,
}

impl Talk {
    fn new(sockets: Vec<UdpSocket>, to: Vec<u16>, speaks: bool, hears_itself: bool) -> Self {
        let packet = |leg: usize| {
            let mut packet = [0x55; 172];
            packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, (leg >> 8) as u8, leg as u8]);
            packet
        };
        for (socket, port) in sockets.iter().zip(to) {
            socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
        let legs = sockets.len();
        Self {
            packets: (0..legs).map(packet).collect(),
            sockets,
            speaks,
            hears_itself,
            origin: Instant::now(),
            received: 0,
            delays: Vec::new(),
            offsets: vec![Vec::new(); legs],
            firsts: vec![None; legs],
            control: nix::cmsg_space!(nix::sys::time::TimeSpec),
        }
    }

    fn run(mut self, measuring: &AtomicBool, stop: &AtomicBool) -> Seen {
        for tick in 1.. {
            let counts = measuring.load(Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if self.speaks {
                self.speak(tick);
            }
            // Half a packet time after they spoke, so that what they hear has come.
            for leg in ((tick + 10) % 20..self.sockets.len()).step_by(20) {
                self.listen(leg, counts);
            }
            std::thread::sleep(Duration::from_millis(tick as u64).saturating_sub(self.origin.elapsed()));
        }
        self.seen()
    }

    fn speak(&mut self, tick: usize) {
        for leg in (tick % 20..self.sockets.len()).step_by(20) {
            let packet = &mut self.packets[leg];
            let sequence = u16::from_be_bytes([packet[2], packet[3]]).wrapping_add(1);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
            packet[12..20].copy_from_slice(&wall().to_be_bytes());
            // What is not sent is missed where it should have come.
            let _ = self.sockets[leg].send(&self.packets[leg]);
        }
    }

    /// Reads all that has come to a socket.
    fn listen(&mut self, leg: usize, counts: bool) {
        let mut buffer = [0; 256];
        let fd = self.sockets[leg].as_raw_fd();
        // Another look, which costs as much as a packet, only where one waits that should have been read the last time.
        let mut more = true;
        while more {
            let mut buffers = [IoSliceMut::new(&mut buffer)];
            let control = Some(self.control.as_mut_slice());
            let Ok(read) = recvmsg::<SockaddrStorage>(fd, &mut buffers, control, MsgFlags::MSG_DONTWAIT) else {
                return;
            };
            let stamp = read.cmsgs().into_iter().flatten().find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(at) => Some(at.tv_sec() * 1_000_000_000 + at.tv_nsec()),
                _ => None,
            });
            let (is_audio, stamp) = (read.bytes == 172, stamp.unwrap());
            more = wall() - stamp >= PACKET_TIME;
            if counts && is_audio {
                self.count(leg, &buffer, stamp);
            }
        }
    }

    fn count(&mut self, leg: usize, packet: &[u8; 256], stamp: i64) {
        self.received += 1;
        if self.hears_itself {
            let spoken = i64::from_be_bytes(packet[12..20].try_into().unwrap());
            self.delays.push((stamp - spoken).max(0) as u32);
        } else {
            let first = *self.firsts[leg].get_or_insert(stamp);
            let half = PACKET_TIME / 2;
            self.offsets[leg].push(((stamp - first + half).rem_euclid(PACKET_TIME) - half) as i32);
        }
    }

    fn seen(mut self) -> Seen {
        for offsets in &self.offsets {
            let best = offsets.iter().min().copied().unwrap_or(0);
            self.delays.extend(offsets.iter().map(|offset| (offset - best) as u32));
        }
        self.delays.sort_unstable();
        Seen { received: self.received, expected: 0, delays: self.delays, is_grid: !self.hears_itself }
    }
}

/// The wall clock, by which the kernel stamps, in nanoseconds.
fn wall() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
