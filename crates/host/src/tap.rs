//! TAP devices: network interfaces of the host whose other side is a file.
#![allow(unsafe_code, reason = "ioctls of the TUN driver")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Flags of TUNSETOFFLOAD.
pub mod offload {
    /// Checksums may be partial.
    pub const CHECKSUM: u32 = 1;
    /// TCP over IPv4 may come in long segments.
    pub const TSO4: u32 = 2;
    /// TCP over IPv6 may.
    pub const TSO6: u32 = 4;
    /// And with congestion bits.
    pub const ECN: u32 = 8;
}

/// Longest name of an interface.
const NAME_MAX: usize = libc::IFNAMSIZ - 1;

/// One queue of a TAP device. Reads and writes are of one frame each, behind a header of 12 bytes.
#[derive(Debug)]
pub struct Tap(File);

impl Tap {
    /// Opens a queue of the device `name`, which is made if need be and allowed. `multi` says whether it has several.
    pub fn open(name: &str, multi: bool) -> io::Result<Self> {
        if name.is_empty() || name.len() > NAME_MAX || name.contains(['/', '\0']) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no name of a network interface",
            ));
        }
        let file = File::options()
            .read(true)
            .write(true)
            .open("/dev/net/tun")?;
        // SAFETY: all bytes zero are a valid request.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let several = if multi { libc::IFF_MULTI_QUEUE } else { 0 };
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | several;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        let fd = file.as_raw_fd();
        // SAFETY: the request is ours and has the type that this ioctl wants.
        check(unsafe { libc::ioctl(fd, libc::TUNSETIFF as _, &raw mut request) })?;
        let header: libc::c_int = 12;
        // SAFETY: as above.
        check(unsafe { libc::ioctl(fd, libc::TUNSETVNETHDRSZ as _, &raw const header) })?;
        let tap = Self(file);
        tap.set_offloads(0)?;
        rustix::io::ioctl_fionbio(&tap, true)?;
        Ok(tap)
    }

    /// Says what may be read from it; see [`offload`].
    pub fn set_offloads(&self, flags: u32) -> io::Result<()> {
        // SAFETY: this ioctl takes a number.
        check(unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::TUNSETOFFLOAD as _,
                libc::c_ulong::from(flags),
            )
        })
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
