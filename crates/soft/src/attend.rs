//! What a processor looks at between blocks: its inbox, its local APIC, pending events (SDM vol. 3, 6.9).

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::trace;
use x86::state::Activity;
use x86::{Exception, Vector, flags};

use crate::alarm::NEVER;
use crate::cpu::Cpu;
use crate::inbox::attention;
use crate::lapic::{Effect, Local};
use crate::observer::Doing;
use crate::trap::R;

impl Cpu {
    /// Takes what others left, and delivers what is due; true when the vCPU was kicked.
    ///
    /// # Errors
    /// [`crate::trap::Trap::SHUTDOWN`] when a delivery ends the processor.
    pub(crate) fn attend(&mut self) -> R<bool> {
        self.attend = false;
        self.returns_changed = true;
        self.settle_eoi();
        let mut bits = 0;
        if self.is_wanted() {
            bits = self.inbox.take();
            self.take(bits);
        }
        self.deliver_pending()?;
        let kicked = bits & attention::KICK != 0;
        if !kicked {
            self.offer_eoi();
        }
        Ok(kicked)
    }

    /// Whether there is anything that waits for IF: enabling interrupts with nothing waiting needs no look.
    #[inline]
    pub(crate) fn is_interrupt_waiting(&self) -> bool {
        self.is_wanted()
            || self.extint_pending
            || self.lapic.is_requested()
            || self.shared.intr.load(Ordering::Relaxed)
    }

    fn take(&mut self, bits: u32) {
        let has = |bit| bits & bit != 0;
        if has(attention::INIT) {
            self.init();
        }
        if has(attention::SIPI) && self.activity == Activity::WaitForSipi {
            self.start_up(self.inbox.startup_vector());
        }
        self.nmi_pending |= has(attention::NMI);
        self.extint_pending |= has(attention::EXTINT);
        if has(attention::LINT0) {
            let local = self.lapic.lint0();
            self.local(local);
        }
        if has(attention::LINT1) {
            let local = self.lapic.lint1();
            self.local(local);
        }
        if has(attention::POSTED) {
            self.lapic.drain(&self.inbox);
        }
        if has(attention::TIMER) {
            self.timer_due();
            self.account_steal();
        }
        if has(attention::CLOCK) {
            self.write_clock();
        }
    }

    fn local(&mut self, local: Local) {
        match local {
            Local::Done => {}
            Local::Nmi => self.nmi_pending = true,
            Local::Init => self.init(),
        }
    }

    fn deliver_pending(&mut self) -> R {
        if !matches!(self.activity, Activity::Running | Activity::Halted) {
            return Ok(());
        }
        if let Some((vector, error)) = self.injected_exception.take() {
            return self.raise(Exception::with_error(Vector(vector), error));
        }
        if let Some(vector) = self.injected_interrupt.take() {
            return self.deliver_interrupt(vector);
        }
        if self.is_debug_step() && self.activity == Activity::Running {
            return Ok(());
        }
        if self.nmi_pending && !self.nmi_blocked && !self.shadow {
            self.nmi_pending = false;
            self.figures.interrupts += 1;
            return self.deliver_nmi();
        }
        if self.flags & flags::IF == 0 || self.shadow {
            return Ok(());
        }
        match self.accept_interrupt() {
            Some(vector) => {
                trace!(cpu = self.id, vector, rip = self.rip, "interrupt");
                self.figures.interrupts += 1;
                self.deliver_interrupt(vector)
            }
            None => Ok(()),
        }
    }

    /// The interrupt to deliver now: the PIC's, else the local APIC's.
    fn accept_interrupt(&mut self) -> Option<u8> {
        let pic = self.lapic.accepts_pic() && self.shared.intr.load(Ordering::SeqCst);
        if pic || self.extint_pending {
            self.extint_pending = false;
            return Some(self.io.acknowledge());
        }
        let vector = self.lapic.pending()?;
        self.lapic.acknowledge(vector);
        Some(vector)
    }

    /// Waits until something is posted or the timer is due.
    pub(crate) fn halt(&mut self) {
        let begin = host::clock::monotonic();
        let most = self.lapic.timer.deadline.saturating_sub(self.now());
        self.doing.set(Doing::Halted);
        if !self
            .patience
            .looks_out(&self.shared.lookouts, &self.inbox, most)
        {
            self.sleep();
            self.patience
                .learn(host::clock::monotonic().saturating_sub(begin));
        }
        self.doing.set(Doing::Interpreting);
        self.attend = true;
    }

    fn sleep(&mut self) {
        let deadline = self.lapic.timer.deadline;
        self.account_steal();
        self.shared.alarm.set(self.id, NEVER);
        let timeout =
            (deadline != NEVER).then(|| Duration::from_nanos(deadline.saturating_sub(self.now())));
        self.note_absence();
        self.inbox.sleep(timeout);
        self.note_presence();
        self.figures.sleeps += 1;
        self.timer_due();
        self.forget_steal();
    }

    /// Looks whether the timer has expired, and sets the alarm for its next deadline.
    pub(crate) fn timer_due(&mut self) {
        if self.lapic.timer.deadline != NEVER {
            self.lapic.expire(self.now());
        }
        self.shared.alarm.set(self.id, self.lapic.timer.deadline);
    }

    /// The timer was programmed: sets the alarm, or expires it at once.
    pub(crate) fn timer_set(&mut self, now: u64) {
        if self.lapic.timer.deadline <= now {
            self.lapic.expire(now);
            self.attend = true;
        }
        self.shared.alarm.set(self.id, self.lapic.timer.deadline);
    }

    /// Something was written to the local APIC: does what it asks of others, and publishes its address.
    pub(crate) fn lapic_written(&mut self, effect: Effect, now: u64) {
        match effect {
            Effect::None => {}
            Effect::Send(message) => self.shared.deliver(message, Some(self.id)),
            Effect::Ended(vector) => self.io.end_of_interrupt(vector),
        }
        self.publish();
        self.timer_set(now);
        self.attend = true;
    }

    /// Publishes how the local APIC is addressed.
    pub(crate) fn publish(&self) {
        self.inbox.publish(self.lapic.address());
    }

    /// CR8: the task priority.
    pub(crate) fn cr8(&self) -> u64 {
        u64::from(self.lapic.tpr() >> 4)
    }

    /// Writes CR8, whose reserved bits the caller has checked.
    pub(crate) fn set_cr8(&mut self, value: u64) {
        self.lapic.set_tpr((value as u8) << 4);
        self.attend = true;
    }

    /// INIT: the state after it; interrupts posted before are dropped.
    fn init(&mut self) {
        let mut state = self.save_state();
        state.init(self.id);
        self.replace_state(&state);
        (0..8).for_each(|word| {
            self.inbox.take_posted(word);
        });
    }

    /// A startup IPI ends the wait that INIT began.
    fn start_up(&mut self, vector: u8) {
        let mut state = self.save_state();
        state.startup(vector);
        self.replace_state(&state);
    }
}
