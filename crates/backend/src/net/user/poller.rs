//! What the network waits for: the host's sockets, a timer, a bell. All of it is one descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Events that are taken at once.
const EVENTS: usize = 64;
/// The timer is set a little late, so that what is due soon after is due as well.
const SLACK: Duration = Duration::from_micros(50);

/// Who a descriptor belongs to. The number is its owner's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// There are frames for the guest.
    Bell,
    Timer,
    /// A forwarded TCP port.
    Listener(u32),
    /// A forwarded UDP port.
    Port(u32),
    Tcp(u32),
    Udp(u32),
    Ping(u32),
    Dns(u32),
}

impl Source {
    fn encode(self) -> u64 {
        let (kind, number) = match self {
            Self::Bell => (0, 0),
            Self::Timer => (1, 0),
            Self::Listener(number) => (2, number),
            Self::Port(number) => (3, number),
            Self::Tcp(number) => (4, number),
            Self::Udp(number) => (5, number),
            Self::Ping(number) => (6, number),
            Self::Dns(number) => (7, number),
        };
        kind << 32 | u64::from(number)
    }

    fn decode(word: u64) -> Self {
        let number = word as u32;
        match word >> 32 {
            0 => Self::Bell,
            1 => Self::Timer,
            2 => Self::Listener(number),
            3 => Self::Port(number),
            4 => Self::Tcp(number),
            5 => Self::Udp(number),
            6 => Self::Ping(number),
            _ => Self::Dns(number),
        }
    }
}

/// Something happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) source: Source,
    /// Reading, or an error, is at hand.
    pub(super) readable: bool,
    /// Writing, or an error, is at hand.
    pub(super) writable: bool,
}

/// The set of descriptors.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
}

impl Poller {
    pub(super) fn new(bell: BorrowedFd<'_>) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let poller = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            timer: timerfd_create(TimerfdClockId::Monotonic, flags)?,
        };
        let add = |fd, source: Source, flags| {
            epoll::add(
                &poller.epoll,
                fd,
                EventData::new_u64(source.encode()),
                flags,
            )
        };
        add(bell, Source::Bell, EventFlags::IN)?;
        add(
            poller.timer.as_fd(),
            Source::Timer,
            EventFlags::IN | EventFlags::ET,
        )?;
        Ok(poller)
    }

    /// Adds a socket, until it is closed. Its owner is told when it becomes ready, and not again while it stays so.
    pub(super) fn add(&self, socket: impl AsFd, source: Source) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let data = EventData::new_u64(source.encode());
        Ok(epoll::add(&self.epoll, socket, data, flags)?)
    }

    /// Adds what happened to a list.
    pub(super) fn take(&self, list: &mut Vec<Event>) {
        let mut events = Vec::with_capacity(EVENTS);
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spare = rustix::buffer::spare_capacity(&mut events);
        // Interrupted is as good as nothing: it is asked again.
        let _ = epoll::wait(&self.epoll, spare, Some(&now));
        list.extend(events.into_iter().map(|event: epoll::Event| {
            let (flags, data) = (event.flags, event.data);
            let errors = EventFlags::ERR | EventFlags::HUP;
            Event {
                source: Source::decode(data.u64()),
                readable: flags.intersects(EventFlags::IN | EventFlags::RDHUP | errors),
                writable: flags.intersects(EventFlags::OUT | errors),
            }
        }));
    }

    /// Sets the timer.
    pub(super) fn wake_at(&self, at: Instant) {
        let delay = at.saturating_duration_since(Instant::now()) + SLACK;
        let time = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: delay.subsec_nanos().into(),
            },
        };
        if let Err(error) = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time) {
            tracing::warn!(%error, "the network's timer can't be set");
        }
    }
}

impl AsFd for Poller {
    /// Readable when something happened.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_names() {
        for source in [
            Source::Bell,
            Source::Timer,
            Source::Listener(1),
            Source::Port(u32::MAX),
            Source::Tcp(3),
            Source::Udp(4),
            Source::Ping(5),
            Source::Dns(6),
        ] {
            assert_eq!(Source::decode(source.encode()), source);
        }
    }
}
