//! What ICMP says about datagrams we have sent (RFC 3261 §18.4).
//!
//! An unconnected UDP socket hears of it only where it asks to (`IP_RECVERR`), and then the kernel keeps, beside each
//! error, where the datagram was going. Elsewhere than on Linux nothing is heard, and the transaction's timer finds out.
//! ICMP can be forged by whoever knows both addresses and ports: it is a hint about a target, never a fact about a call.

use std::io;
use std::net::{SocketAddr, UdpSocket};

#[cfg(target_os = "linux")]
pub(super) use linux::{ask_for_errors, next_error};

#[cfg(target_os = "linux")]
mod linux {
    use super::{SocketAddr, UdpSocket, io};
    use nix::libc::{SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, sock_extended_err};
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
    use std::io::IoSliceMut;
    use std::os::fd::{AsFd, AsRawFd};

    /// Has the kernel keep ICMP errors for us to read.
    pub fn ask_for_errors(socket: &UdpSocket) -> io::Result<()> {
        match socket.local_addr()? {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
        }
        Ok(())
    }

    /// Takes one error: where the datagram was going, if that place is unreachable and not something else was wrong.
    ///
    /// # Errors
    /// `WouldBlock` where there is none.
    pub fn next_error(socket: &impl AsFd) -> io::Result<Option<SocketAddr>> {
        // The kernel returns the datagram itself as well; nobody needs it.
        let mut payload = [0; 1];
        let mut io_slices = [IoSliceMut::new(&mut payload)];
        let mut control = nix::cmsg_space!(sock_extended_err, nix::libc::sockaddr_in6);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_fd().as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut io_slices, Some(&mut control), flags)?;
        let is_unreachable = message.cmsgs()?.any(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                is_unreachable(error)
            }
            _ => false,
        });
        Ok(message.address.filter(|_| is_unreachable).and_then(|address| socket_addr(&address)))
    }

    /// Destination unreachable for good (RFC 792, RFC 4443 §3.1). "Fragmentation needed" is not, nor a TTL that ran out.
    fn is_unreachable(error: sock_extended_err) -> bool {
        const FRAGMENTATION_NEEDED: u8 = 4;
        match error.ee_origin {
            SO_EE_ORIGIN_ICMP => error.ee_type == 3 && error.ee_code != FRAGMENTATION_NEEDED,
            SO_EE_ORIGIN_ICMP6 => error.ee_type == 1,
            _ => false,
        }
    }

    fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ask_for_errors(_: &UdpSocket) -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn next_error<S>(_: &S) -> io::Result<Option<SocketAddr>> {
    Err(io::ErrorKind::WouldBlock.into())
}
