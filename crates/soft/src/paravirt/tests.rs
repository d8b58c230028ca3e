use mem::Gpa;
use x86::msr::number;

use crate::cpu::Cpu;
use crate::lapic::reg;
use crate::testing;

const PAGE: u64 = 0x5000;

fn u32_at(cpu: &Cpu, at: u64) -> u32 {
    let mut bytes = [0; 4];
    cpu.ram.read(Gpa(at), &mut bytes).expect("it is RAM");
    u32::from_le_bytes(bytes)
}

fn u64_at(cpu: &Cpu, at: u64) -> u64 {
    u64::from(u32_at(cpu, at)) | u64::from(u32_at(cpu, at + 4)) << 32
}

#[test]
fn the_clock_page_gives_the_time() {
    let (mut cpu, _) = testing::cpu();
    cpu.write_msr(number::KVM_SYSTEM_TIME, PAGE | 1)
        .expect("the register exists");
    assert_eq!(u32_at(&cpu, PAGE) % 2, 0, "the version is even");
    assert_eq!(
        u64_at(&cpu, PAGE + 8),
        u64_at(&cpu, PAGE + 16),
        "the TSC counts nanoseconds"
    );
    assert_eq!(u32_at(&cpu, PAGE + 24), 1 << 31);
    assert_eq!(u32_at(&cpu, PAGE + 28), 0x0101, "shift by one, stable");

    let system_time = u64_at(&cpu, PAGE + 16);
    cpu.write_msr(number::TSC, 1 << 60)
        .expect("it can be written");
    assert_eq!(u32_at(&cpu, PAGE + 28), 1, "vCPUs may disagree now");
    assert!(u64_at(&cpu, PAGE + 8) >= 1 << 60);
    let later = u64_at(&cpu, PAGE + 16);
    assert!(
        later >= system_time && later - system_time < 1 << 40,
        "time goes on"
    );
}

#[test]
fn the_wall_clock_tells_when_time_began() {
    let (mut cpu, _) = testing::cpu();
    cpu.write_msr(number::KVM_WALL_CLOCK, PAGE)
        .expect("the register exists");
    let start = u64::from(u32_at(&cpu, PAGE + 4));
    let now = host::clock::realtime() / 1_000_000_000;
    assert!(now - start <= 2, "{start} {now}");
}

#[test]
fn pages_outside_ram_are_lost() {
    let (mut cpu, _) = testing::cpu();
    for msr in [
        number::KVM_SYSTEM_TIME,
        number::KVM_STEAL_TIME,
        number::KVM_PV_EOI,
    ] {
        cpu.write_msr(msr, 1 << 40 | 1)
            .expect("hardware would not look");
    }
    cpu.account_steal();
    cpu.offer_eoi();
    cpu.write_clock();
}

/// A processor that serves vector 0x50, and lets its guest end that in memory.
fn serving(level: bool) -> Cpu {
    let (mut cpu, _) = testing::cpu();
    cpu.lapic.store_memory(reg::SVR as u64 * 16, 0x1ff, 0);
    cpu.publish();
    cpu.inbox.post_interrupt(0x50, level);
    let inbox = &cpu.shared.inboxes[0];
    cpu.lapic.drain(inbox);
    assert_eq!(cpu.lapic.pending(), Some(0x50));
    cpu.lapic.acknowledge(0x50);
    cpu.write_msr(number::KVM_PV_EOI, PAGE | 1)
        .expect("the register exists");
    cpu.offer_eoi();
    cpu
}

#[test]
fn the_guest_may_end_an_interrupt_in_memory() {
    let mut cpu = serving(false);
    assert_eq!(u32_at(&cpu, PAGE), 1, "the offer");
    cpu.ram.write(Gpa(PAGE), &[0]).expect("it is RAM");
    cpu.settle_eoi();
    assert_eq!(cpu.lapic.ppr(), 0, "ended");
}

#[test]
fn an_offer_that_is_taken_back_ends_nothing() {
    let mut cpu = serving(false);
    cpu.settle_eoi();
    assert_eq!((u32_at(&cpu, PAGE), cpu.lapic.ppr()), (0, 0x50));
}

#[test]
fn level_triggered_interrupts_are_never_offered() {
    let cpu = serving(true);
    assert_eq!(u32_at(&cpu, PAGE), 0);
}

#[test]
fn steal_time_grows_while_the_thread_does_not_run() {
    let (mut cpu, _) = testing::cpu();
    cpu.write_msr(number::KVM_STEAL_TIME, PAGE | 1)
        .expect("the register exists");
    std::thread::sleep(std::time::Duration::from_millis(3));
    cpu.account_steal();
    let steal = u64_at(&cpu, PAGE);
    assert!(steal >= 2_000_000, "{steal} ns");
    assert_eq!(u32_at(&cpu, PAGE + 8) % 2, 0, "the version is even");
    cpu.forget_steal();
    std::thread::sleep(std::time::Duration::from_millis(1));
    cpu.forget_steal();
    cpu.account_steal();
    assert!(u64_at(&cpu, PAGE) - steal < 1_000_000, "sleep is no theft");
}

#[test]
fn a_flush_asked_for_during_sleep_is_done_before_going_on() {
    let (mut cpu, _) = testing::cpu();
    cpu.write_msr(number::KVM_STEAL_TIME, PAGE | 1)
        .expect("the register exists");
    cpu.note_absence();
    assert_eq!(u32_at(&cpu, PAGE + 16), 1);
    let space = cpu.mmu.key(0);
    cpu.note_presence();
    assert_eq!((u32_at(&cpu, PAGE + 16), cpu.mmu.key(0)), (0, space));
    cpu.note_absence();
    cpu.ram.write(Gpa(PAGE + 16), &[3]).expect("it is RAM");
    cpu.note_presence();
    assert_eq!(u32_at(&cpu, PAGE + 16), 0);
    assert_ne!(cpu.mmu.key(0), space, "translations are of the past");
}
