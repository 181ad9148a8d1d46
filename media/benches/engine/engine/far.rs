//! The far ends: a socket each, all on one thread of their own. Each speaks 50 packets a second where it shall, spread
//! over 20 phases of a millisecond, and reads what comes.

use rustix::event::epoll;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// What the measured part of a run brought.
#[derive(Default)]
pub struct Seen {
    pub sent: u64,
    pub received: u64,
    /// How long each packet took from mouth to ear, nanoseconds; empty where nobody spoke.
    delays: Vec<u32>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} packets", self.received)?;
        if self.sent > 0 {
            let share = self.received as f64 / self.sent as f64 * 100.0;
            let at = |part: usize| self.delays.get(self.delays.len() * part / 100).map_or(0, |delay| delay / 1000);
            write!(f, " ({share:.2} %), delay p50 {} µs, p99 {} µs", at(50), at(99))?;
        }
        Ok(())
    }
}

pub fn raise_limits() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
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
            socket
        };
        Self { sockets: (0..legs).map(|_| socket()).collect() }
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect()
    }

    /// Starts; each socket speaks to the leg of its own number.
    pub fn start(self, to: Vec<u16>, speaks: bool) -> Running {
        let (measuring, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (sender, result) = mpsc::channel();
        let flags = (measuring.clone(), stop.clone());
        std::thread::spawn(move || {
            pin(std::thread::available_parallelism().map_or(0, |cores| cores.get() - 1));
            // Where it is refused, the ticks are a little late.
            let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
            sender.send(Talk::new(self.sockets, to, speaks).run(&flags.0, &flags.1)).unwrap();
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
        let mut seen = self.result.recv().unwrap();
        seen.delays.sort_unstable();
        seen
    }
}

struct Talk {
    sockets: Vec<UdpSocket>,
    to: Vec<SocketAddr>,
    packets: Vec<[u8; 172]>,
    speaks: bool,
    origin: Instant,
    seen: Seen,
}

impl Talk {
    fn new(sockets: Vec<UdpSocket>, to: Vec<u16>, speaks: bool) -> Self {
        let packet = |leg: usize| {
            let mut packet = [0x55; 172];
            packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, (leg >> 8) as u8, leg as u8]);
            packet
        };
        let packets = (0..sockets.len()).map(packet).collect();
        let to = to.into_iter().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect();
        Self { sockets, to, packets, speaks, origin: Instant::now(), seen: Seen::default() }
    }

    fn run(mut self, measuring: &AtomicBool, stop: &AtomicBool) -> Seen {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        for (leg, socket) in self.sockets.iter().enumerate() {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(leg as u64), epoll::EventFlags::IN).unwrap();
        }
        let mut ready = Vec::with_capacity(512);
        let mut tick = 0u64;
        while !stop.load(Ordering::Relaxed) {
            let counts = measuring.load(Ordering::Relaxed);
            if self.speaks {
                self.speak(tick, counts);
            }
            tick += 1;
            let next = Duration::from_millis(tick);
            // What comes before the next millisecond is stamped when it comes; one look is taken even where it is late.
            loop {
                let left = next.saturating_sub(self.origin.elapsed());
                ready.clear();
                let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: left.as_nanos() as i64 };
                epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), Some(&wait)).unwrap();
                self.listen(&ready, counts);
                if left.is_zero() {
                    break;
                }
            }
        }
        self.seen
    }

    fn speak(&mut self, tick: u64, counts: bool) {
        let legs = (tick as usize % 20..self.sockets.len()).step_by(20);
        for leg in legs {
            let packet = &mut self.packets[leg];
            let sequence = u16::from_be_bytes([packet[2], packet[3]]).wrapping_add(1);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
            packet[12..20].copy_from_slice(&(self.origin.elapsed().as_nanos() as u64).to_be_bytes());
            let sent = self.sockets[leg].send_to(&self.packets[leg], self.to[leg]).is_ok();
            self.seen.sent += u64::from(sent && counts);
        }
    }

    fn listen(&mut self, ready: &[epoll::Event], counts: bool) {
        let mut buffer = [0; 256];
        for event in ready {
            let Ok(length) = self.sockets[event.data.u64() as usize].recv(&mut buffer) else { continue };
            if !counts || length != 172 {
                continue;
            }
            self.seen.received += 1;
            if self.speaks {
                let stamp = u64::from_be_bytes(buffer[12..20].try_into().unwrap());
                self.seen.delays.push((self.origin.elapsed().as_nanos() as u64).saturating_sub(stamp) as u32);
            }
        }
    }
}
