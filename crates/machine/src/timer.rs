//! The timer thread: lets devices act when their deadlines pass.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iface::Clock;

use crate::clock::MachineClock;

/// Something with deadlines in machine time: the bus.
pub(crate) trait Deadlines: Send + Sync {
    /// The earliest, in nanoseconds.
    fn deadline(&self) -> Option<u64>;
    /// Lets everybody act whose deadline has passed.
    fn expire(&self, now: u64);
}

/// Wakes the timer thread.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Deadlines may have moved since the thread last looked.
    rearm: bool,
    ended: bool,
}

impl Timer {
    /// Deadlines, or the clock, may have moved.
    pub(crate) fn rearm(&self) {
        self.lock().rearm = true;
        self.changed.notify_one();
    }

    /// Ends the thread.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_one();
    }

    /// The thread's body.
    pub(crate) fn run(&self, clock: &MachineClock, devices: &Arc<dyn Deadlines>) {
        loop {
            let stopped = clock.is_stopped();
            let now = clock.now();
            if !stopped {
                devices.expire(now);
            }
            let sleep = match devices.deadline() {
                Some(deadline) if !stopped => {
                    Some(Duration::from_nanos(deadline.saturating_sub(clock.now())))
                }
                _ => None,
            };
            if self.sleep(sleep) {
                return;
            }
        }
    }

    /// Sleeps until deadlines may have moved, for this long at most; whether the thread shall end.
    fn sleep(&self, at_most: Option<Duration>) -> bool {
        let mut state = self.lock();
        if !state.rearm && !state.ended {
            state = match at_most {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let waited = self.changed.wait_timeout(state, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.rearm = false;
        state.ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Once {
        at: Mutex<Option<u64>>,
        fired: mpsc::Sender<u64>,
    }

    impl Deadlines for Once {
        fn deadline(&self) -> Option<u64> {
            *self.at.lock().unwrap()
        }

        fn expire(&self, now: u64) {
            if let Some(at) = self.at.lock().unwrap().take_if(|at| *at <= now) {
                self.fired.send(now - at).unwrap();
            }
        }
    }

    /// A timer thread over one deadline, ended when dropped.
    struct Rig {
        timer: Arc<Timer>,
        clock: Arc<MachineClock>,
        once: Arc<Once>,
        fired: mpsc::Receiver<u64>,
        thread: Option<std::thread::JoinHandle<()>>,
    }

    impl Rig {
        fn new() -> Self {
            let (sender, fired) = mpsc::channel();
            let once = Arc::new(Once {
                at: Mutex::new(None),
                fired: sender,
            });
            let (timer, clock) = (
                Arc::new(Timer::default()),
                Arc::new(MachineClock::default()),
            );
            let (inner, its_clock) = (Arc::clone(&timer), Arc::clone(&clock));
            let devices: Arc<dyn Deadlines> = Arc::clone(&once) as _;
            let thread = std::thread::spawn(move || inner.run(&its_clock, &devices));
            let thread = Some(thread);
            Self {
                timer,
                clock,
                once,
                fired,
                thread,
            }
        }

        fn arm(&self, after: u64) {
            *self.once.at.lock().unwrap() = Some(self.clock.now() + after);
            self.timer.rearm();
        }
    }

    impl Drop for Rig {
        fn drop(&mut self) {
            self.timer.end();
            self.thread.take().unwrap().join().unwrap();
        }
    }

    #[test]
    fn a_deadline_that_is_armed_later_is_met() {
        let rig = Rig::new();
        rig.clock.start();
        rig.arm(3_000_000);
        let late = rig.fired.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(late < 1_000_000_000, "{late} ns late");
    }

    #[test]
    fn nothing_expires_while_the_clock_stands_still() {
        let rig = Rig::new();
        rig.arm(1_000_000);
        assert!(rig.fired.recv_timeout(Duration::from_millis(30)).is_err());
        rig.clock.start();
        rig.timer.rearm();
        rig.fired.recv_timeout(Duration::from_secs(5)).unwrap();
    }
}
