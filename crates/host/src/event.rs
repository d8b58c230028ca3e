//! Waking a thread that waits in `poll`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, read, write};

/// A bell: rung by any thread, waited for by one. What was written before a ring is seen by whoever was woken by
/// it, and rings while nobody has looked yet cost no system call.
#[derive(Debug)]
pub struct Bell {
    fd: OwnedFd,
    rung: AtomicBool,
}

/// What [`Bell::wait`] was woken by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Woken {
    /// The bell was rung.
    pub rung: bool,
    /// The other descriptor is ready.
    pub ready: bool,
}

impl Bell {
    /// A bell that has not been rung.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let rung = AtomicBool::new(false);
        Ok(Self { fd, rung })
    }

    /// Rings.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // Not even the kernel's rings, one for each write of a guest, fill the counter.
            let _ = write(&self.fd, &1_u64.to_ne_bytes());
        }
    }

    /// Takes a ring back; whether there was one.
    pub fn take(&self) -> bool {
        let mut count = [0; 8];
        // The kernel, and whoever else has the descriptor, rings without the flag.
        let is_counted = read(&self.fd, &mut count).is_ok();
        self.rung.swap(false, Ordering::SeqCst) || is_counted
    }

    /// Waits until the bell rings, and takes the ring, or until the other descriptor is ready.
    pub fn wait(&self, other: Option<(BorrowedFd<'_>, PollFlags)>) -> Woken {
        loop {
            let mut list = vec![PollFd::new(&self.fd, PollFlags::IN)];
            list.extend(other.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
            match poll(&mut list, None) {
                Err(Errno::INTR | Errno::AGAIN) => continue,
                // Only a descriptor that is none fails; whoever uses it learns of it.
                Err(_) => {
                    return Woken {
                        rung: self.take(),
                        ready: true,
                    };
                }
                Ok(_) => {}
            }
            let is_ready =
                |index: usize| list.get(index).is_some_and(|fd| !fd.revents().is_empty());
            let (rung, ready) = (is_ready(0), is_ready(1));
            return Woken {
                rung: rung && self.take(),
                ready,
            };
        }
    }
}

impl AsFd for Bell {
    /// Readable while a ring has not been taken.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn rings_are_taken_once() {
        let bell = Bell::new().unwrap();
        assert!(!bell.take());
        bell.ring();
        bell.ring();
        assert!(bell.wait(None).rung);
        assert!(!bell.take());
        bell.ring();
        assert!(bell.take());
    }

    #[test]
    fn rings_by_the_descriptor_count() {
        let bell = Bell::new().unwrap();
        for _ in 0..2 {
            write(bell.as_fd(), &1_u64.to_ne_bytes()).unwrap();
        }
        assert!(bell.wait(None).rung);
        assert!(!bell.take());
        write(bell.as_fd(), &1_u64.to_ne_bytes()).unwrap();
        bell.ring();
        assert!(bell.take() && !bell.take());
    }

    #[test]
    fn no_ring_is_lost_between_threads() {
        let (there, back) = (
            Arc::new(Bell::new().unwrap()),
            Arc::new(Bell::new().unwrap()),
        );
        let (their, mine) = (there.clone(), back.clone());
        let thread = std::thread::spawn(move || {
            for _ in 0..2000 {
                their.wait(None);
                mine.ring();
            }
        });
        for _ in 0..2000 {
            there.ring();
            back.wait(None);
        }
        thread.join().unwrap();
    }

    #[test]
    fn another_descriptor_wakes_as_well() {
        let (bell, other) = (Bell::new().unwrap(), Bell::new().unwrap());
        other.ring();
        let woken = bell.wait(Some((other.as_fd(), PollFlags::IN)));
        assert_eq!(
            woken,
            Woken {
                rung: false,
                ready: true
            }
        );
    }
}
