//! The second packet path at its best: what bare loops would cost that send from one raw socket in batches, and hear on
//! one socket whatever port it came to. The kernel's choice of that socket (a BPF program at `sk_lookup`) is not counted:
//! everybody sends to one port, so that this is less than the path could cost.

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Packets handed to the kernel at once.
const BATCH: usize = 64;
/// Octets of the headers of IPv4 and UDP.
const HEADERS: usize = 28;
const BUFFER: usize = 1 << 22;

/// What sends for all legs; whoever may not open one is told so.
struct Raw {
    socket: socket2::Socket,
    headers: MultiHeaders<SockaddrIn>,
}

impl Raw {
    fn open() -> Self {
        let raw = socket2::Protocol::from(255);
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(raw))
            .expect("a raw socket, which root may open (CAP_NET_RAW)");
        socket.set_nonblocking(true).unwrap();
        socket.set_send_buffer_size(BUFFER).unwrap();
        Self { socket, headers: MultiHeaders::preallocate(BATCH, None) }
    }

    fn send(&mut self, packets: &[(Vec<u8>, Option<SockaddrIn>)]) {
        for batch in packets.chunks(BATCH) {
            let slices: Vec<_> = batch.iter().map(|(bytes, _)| [IoSlice::new(bytes)]).collect();
            let to: Vec<_> = batch.iter().map(|(_, to)| *to).collect();
            let _ = sendmmsg(self.socket.as_raw_fd(), &mut self.headers, &slices, to, [], MsgFlags::MSG_DONTWAIT);
        }
    }
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    if let SocketAddr::V4(v4) = address { v4 } else { unreachable!("the far ends have IPv4") }
}

/// A datagram with its headers; UDP over IPv4 needs no checksum, and the kernel makes that of IPv4.
fn write(packet: &mut Vec<u8>, from: u16, to: SocketAddrV4, payload: &[u8]) {
    packet.clear();
    packet.extend([0x45, 0]);
    packet.extend(((HEADERS + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend([127, 0, 0, 1]);
    packet.extend(to.ip().octets());
    packet.extend(from.to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend(((HEADERS - 20 + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
}

pub fn play(sockets: &[UdpSocket], far: &[SocketAddr], stop: &AtomicBool) {
    let ports: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    let (mut raw, payload, origin) = (Raw::open(), [0x55; 172], Instant::now());
    let mut packets = vec![(Vec::with_capacity(256), None); sockets.len().div_ceil(20)];
    for tick in 1u64.. {
        std::thread::sleep(Duration::from_millis(tick).saturating_sub(origin.elapsed()));
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let mut filled = 0;
        for (leg, (packet, to)) in (tick as usize % 20..sockets.len()).step_by(20).zip(&mut packets) {
            write(packet, ports[leg], v4(far[leg]), &payload);
            *to = Some(v4(far[leg]).into());
            filled += 1;
        }
        raw.send(&packets[..filled]);
    }
}

/// How long what came is, and from which port.
fn receive(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrIn>,
    buffers: &mut [[u8; 2048]],
) -> Vec<(usize, Option<u16>)> {
    let mut room: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
    let Ok(taken) = recvmmsg(socket.as_raw_fd(), headers, room.iter_mut(), MsgFlags::MSG_DONTWAIT, None) else {
        return Vec::new();
    };
    taken.map(|one| (one.bytes, one.address.map(|from| from.port()))).collect()
}

/// All that comes to the first socket, each millisecond.
pub fn relay(sockets: &[UdpSocket], far: &[SocketAddr], stop: &AtomicBool) {
    let hears = &sockets[0];
    let port = hears.local_addr().unwrap().port();
    socket2::SockRef::from(hears).set_recv_buffer_size(BUFFER).unwrap();
    let legs: HashMap<u16, usize> = far.iter().enumerate().map(|(leg, far)| (far.port(), leg)).collect();
    let (mut raw, origin) = (Raw::open(), Instant::now());
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut buffers = vec![[0u8; 2048]; BATCH];
    let mut packets = vec![(Vec::with_capacity(2048), None); BATCH];
    for tick in 1u64.. {
        std::thread::sleep(Duration::from_millis(tick).saturating_sub(origin.elapsed()));
        if stop.load(Ordering::Relaxed) {
            return;
        }
        loop {
            let came = receive(hears, &mut headers, &mut buffers);
            for (((length, from), buffer), (packet, to)) in came.iter().zip(&buffers).zip(&mut packets) {
                let other = from.and_then(|from| legs.get(&from)).unwrap() ^ 1;
                write(packet, port, v4(far[other]), &buffer[..*length]);
                *to = Some(v4(far[other]).into());
            }
            raw.send(&packets[..came.len()]);
            if came.len() < BATCH {
                break;
            }
        }
    }
}
