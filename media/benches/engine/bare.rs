//! The bare loops: no header is read, no count kept, and each socket is connected to its far end, which spares the kernel a
//! tenth of a packet. The relay receives, finds the other socket and sends, and rests as the engine does; the player sends
//! one packet from each socket of a phase.

use super::far::{Far, pin};
use super::{Subject, Work};
use media::worker::{RECEIVE_BUFFER, REST};
use rustix::event::epoll;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub struct Bare {
    ports: Vec<u16>,
    thread: Option<JoinHandle<()>>,
    task: u32,
    stop: Arc<AtomicBool>,
}

impl Bare {
    /// `raw`: over one socket for all of them, where it is made for that.
    pub fn start(work: Work, far: &Far, raw: bool) -> Self {
        let far = far.addresses();
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
            socket
        };
        let sockets: Vec<_> = far.iter().map(|_| socket()).collect();
        if !raw {
            sockets.iter().zip(&far).for_each(|(socket, far)| socket.connect(far).unwrap());
        }
        let mut ports: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        if raw && work == Work::Relay {
            let first = ports[0];
            ports.fill(first);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, task) = std::sync::mpsc::channel();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            pin(0);
            rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)).unwrap();
            sender.send(rustix::thread::gettid().as_raw_nonzero().get() as u32).unwrap();
            match work {
                Work::Relay if raw => super::raw::relay(&sockets, &far, &stopped),
                Work::Play if raw => super::raw::play(&sockets, &far, &stopped),
                Work::Relay => relay(&sockets, &stopped),
                Work::Play => play(&sockets, &stopped),
                Work::Talk => talk(&sockets, &stopped),
            }
        });
        Self { ports, thread: Some(thread), task: task.recv().unwrap(), stop }
    }
}

impl Subject for Bare {
    fn ports(&self) -> Vec<u16> {
        self.ports.clone()
    }

    fn cpu(&self) -> u64 {
        cpu_of(self.task)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Nanoseconds that a thread of this process has run.
pub fn cpu_of(task: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{task}/schedstat")).unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

fn relay(sockets: &[UdpSocket], stop: &AtomicBool) {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for (leg, socket) in sockets.iter().enumerate() {
        epoll::add(&epoll, socket, epoll::EventData::new_u64(leg as u64), epoll::EventFlags::IN).unwrap();
    }
    let mut ready = Vec::with_capacity(512);
    let mut buffer = [0; 2048];
    let (origin, mut stretch, mut packets, mut found) = (Instant::now(), 0, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        ready.clear();
        // As the engine does: where something was there, another look is taken at once.
        let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: if found > 0 { 0 } else { 10_000_000 } };
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), Some(&wait)).unwrap();
        found = 0;
        for leg in ready.iter().map(|event| event.data.u64() as usize) {
            let Ok(length) = sockets[leg].recv(&mut buffer) else { continue };
            let _ = sockets[leg ^ 1].send(&buffer[..length]);
            found += 1;
        }
        let now = origin.elapsed().as_nanos() / REST.as_nanos();
        if now != stretch {
            (stretch, packets) = (now, 0);
        }
        packets += found;
        if found == 0 && packets >= 2 {
            let end = Duration::from_nanos(((stretch + 1) * REST.as_nanos()) as u64);
            std::thread::sleep(end.saturating_sub(origin.elapsed()));
        }
    }
}

/// Both at once: what comes is read and dropped, and each millisecond its phase is sent.
fn talk(sockets: &[UdpSocket], stop: &AtomicBool) {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for (leg, socket) in sockets.iter().enumerate() {
        epoll::add(&epoll, socket, epoll::EventData::new_u64(leg as u64), epoll::EventFlags::IN).unwrap();
    }
    let mut ready = Vec::with_capacity(512);
    let mut buffer = [0; 2048];
    let packet = [0x55; 172];
    let (origin, mut tick) = (Instant::now(), 1u64);
    while !stop.load(Ordering::Relaxed) {
        ready.clear();
        let wait = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), Some(&wait)).unwrap();
        for leg in ready.iter().map(|event| event.data.u64() as usize) {
            let _ = sockets[leg].recv(&mut buffer);
        }
        if origin.elapsed() >= Duration::from_millis(tick) {
            for leg in (tick as usize % 20..sockets.len()).step_by(20) {
                let _ = sockets[leg].send(&packet);
            }
            tick += 1;
        }
        if ready.is_empty() {
            let end = (origin.elapsed().as_nanos() / REST.as_nanos() + 1) * REST.as_nanos();
            let end = Duration::from_nanos(end as u64).min(Duration::from_millis(tick));
            std::thread::sleep(end.saturating_sub(origin.elapsed()));
        }
    }
}

fn play(sockets: &[UdpSocket], stop: &AtomicBool) {
    let packet = [0x55; 172];
    let origin = Instant::now();
    for tick in 1u64.. {
        std::thread::sleep(Duration::from_millis(tick).saturating_sub(origin.elapsed()));
        if stop.load(Ordering::Relaxed) {
            return;
        }
        for leg in (tick as usize % 20..sockets.len()).step_by(20) {
            let _ = sockets[leg].send(&packet);
        }
    }
}
