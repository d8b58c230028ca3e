//! What became of datagrams that were sent: the error queue of a UDP socket.
#![allow(unsafe_code, reason = "recvmsg with control messages")]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

/// A datagram that did not arrive.
#[derive(Debug)]
pub struct Undelivered {
    /// Where it went.
    pub to: SocketAddr,
    /// Why it was not delivered.
    pub error: io::Error,
    /// Bytes of its payload, as far as the host kept them and there was room.
    pub len: usize,
}

/// Room for control messages: the error, and the address of who reported it.
const CONTROL: usize = 256;

/// Has the host keep errors in the socket's queue.
pub fn keep_errors(socket: &UdpSocket) -> io::Result<()> {
    let (level, option) = match socket.local_addr()? {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVERR),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let on: libc::c_int = 1;
    // SAFETY: the option is an int, and this is one.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The next error of the queue, and the beginning of the datagram's payload. [`io::ErrorKind::WouldBlock`] when there
/// is none.
pub fn next_error(socket: &UdpSocket, payload: &mut [u8]) -> io::Result<Undelivered> {
    // SAFETY: all bytes zero are a valid address.
    let mut to: libc::sockaddr_storage = unsafe { zeroed() };
    let mut control = [0_u64; CONTROL / 8];
    let mut place = libc::iovec {
        iov_base: payload.as_mut_ptr().cast(),
        iov_len: payload.len(),
    };
    // SAFETY: all bytes zero are a valid message.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = (&raw mut to).cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut place;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: the message's pointers are to buffers of the lengths beside them, which live until this returns.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    let error = io::Error::from_raw_os_error(reason(&message).unwrap_or(libc::EHOSTUNREACH));
    let to = address(&to).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Undelivered { to, error, len })
}

/// The number of the error that a message tells of.
fn reason(message: &libc::msghdr) -> Option<i32> {
    // SAFETY: the kernel filled the control buffer in and set its length, by which these macros walk.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: it is not null, so it lies in the control buffer, which is aligned for it.
        let kind = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        if kind == (libc::IPPROTO_IP, libc::IP_RECVERR)
            || kind == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        {
            // SAFETY: messages of this kind hold such a structure, for which the buffer has room.
            let error: libc::sock_extended_err = unsafe {
                libc::CMSG_DATA(header)
                    .cast::<libc::sock_extended_err>()
                    .read_unaligned()
            };
            return i32::try_from(error.ee_errno).ok();
        }
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is such an address, and a storage has room for any.
            let address: libc::sockaddr_in =
                unsafe { (&raw const *storage).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(address.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address: libc::sockaddr_in6 =
                unsafe { (&raw const *storage).cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let port = u16::from_be(address.sin6_port);
            Some(SocketAddrV6::new(ip, port, 0, address.sin6_scope_id).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn refused(host: &str) {
        let Ok(socket) = UdpSocket::bind((host, 0)) else {
            return println!("SKIPPED: this host has no {host}");
        };
        keep_errors(&socket).unwrap();
        let mut payload = [0; 100];
        let none = next_error(&socket, &mut payload).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        // Nobody listens where somebody just did.
        let to = UdpSocket::bind((host, 0)).unwrap().local_addr().unwrap();
        socket.send_to(b"hello", to).unwrap();
        let lost = loop {
            match next_error(&socket, &mut payload) {
                Ok(lost) => break lost,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            thread::sleep(Duration::from_millis(1));
        };
        assert_eq!((lost.to, &payload[..lost.len]), (to, &b"hello"[..]));
        assert_eq!(lost.error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_refused_datagram_is_told_of() {
        refused("127.0.0.1");
        refused("::1");
    }
}
