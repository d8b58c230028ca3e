//! What this host's KVM does otherwise than a processor with hardware virtualization would.
//!
//! Some hosts offer a `/dev/kvm` without hardware beneath: kernel code is emulated instruction by instruction, by an
//! emulator that was made for a few of them. They are found by what they do.

use std::fmt;
use std::time::Duration;

use iface::EngineError;
use x86::cr::cr0;
use x86::descriptor::Attributes;
use x86::state::gpr;

use crate::capability::Host;
use crate::lab::{CODE, Ending, Lab, REPORT};

/// A way in which guests can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quirk {
    /// Kernel code is emulated.
    EmulatesKernels,
    /// INT in user mode raises #UD.
    RefusesInterrupts,
    /// There is paging in 64-bit mode alone.
    RefusesLegacyPaging,
    /// Guests have the host's own TSC.
    FixesTsc,
    /// Guests see another CPUID than the one that was set.
    ReplacesCpuid,
    /// The x87 unit's pointers are stored only while an exception waits, as AMD's processors do.
    DropsPointers,
}

impl Quirk {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::EmulatesKernels,
        Self::RefusesInterrupts,
        Self::RefusesLegacyPaging,
        Self::FixesTsc,
        Self::ReplacesCpuid,
        Self::DropsPointers,
    ];

    /// Whether it is a processor's own way.
    #[must_use]
    pub fn is_native(self) -> bool {
        self == Self::DropsPointers
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmulatesKernels => "kernel code is emulated, with few of the instructions",
            Self::RefusesInterrupts => "INT in user mode raises #UD",
            Self::RefusesLegacyPaging => "no paging but in 64-bit mode",
            Self::FixesTsc => "guests get the host's own TSC",
            Self::ReplacesCpuid => "guests see another CPUID than they are given",
            Self::DropsPointers => {
                "x87 pointers are stored only while an exception waits, as AMD's processors do"
            }
        })
    }
}

/// How long an experiment may take.
const PATIENCE: Duration = Duration::from_millis(50);

/// How fast guest code runs, and what is odd about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// Steps of a counting loop in kernel mode, in millions a second.
    pub speed: f64,
    /// The oddities.
    pub quirks: Vec<Quirk>,
}

/// A processor of this century counts faster, any emulator slower: millions of steps a second.
pub const HARDWARE_SPEED: f64 = 250.0;
/// Emulators that were seen do 0.5 to 2.
const DOUBTFUL_SPEED: f64 = 10.0;

impl Findings {
    /// Whether guests run on the processor itself, as they should.
    pub fn is_hardware(&self) -> bool {
        self.speed >= HARDWARE_SPEED && self.quirks.iter().all(|quirk| quirk.is_native())
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.speed < 10.0);
        write!(f, "{:.digits$} million steps a second", self.speed)?;
        self.quirks
            .iter()
            .try_for_each(|quirk| write!(f, "; {quirk}"))
    }
}

/// Looks as long as it takes to know whether guests run on the processor itself: a few milliseconds.
///
/// # Errors
/// When KVM can't be had, or not even a loop runs.
pub fn glance(host: Host) -> Result<Findings, EngineError> {
    let mut lab = Lab::new(host)?;
    let speed = measure(&mut lab)?;
    let quirks = if speed < HARDWARE_SPEED {
        Vec::new()
    } else {
        quirks(&mut lab)?
    };
    Ok(Findings { speed, quirks })
}

/// Tries everything; takes some tens of milliseconds.
///
/// # Errors
/// As [`glance`].
pub fn examine(host: Host) -> Result<Findings, EngineError> {
    let mut lab = Lab::new(host)?;
    let speed = measure(&mut lab)?;
    let quirks = quirks(&mut lab)?;
    Ok(Findings { speed, quirks })
}

fn quirks(lab: &mut Lab) -> Result<Vec<Quirk>, EngineError> {
    let mut quirks = Vec::new();
    for quirk in Quirk::ALL {
        if has(lab, quirk)? {
            quirks.push(quirk);
        }
    }
    Ok(quirks)
}

/// How fast a loop in kernel mode runs. An emulator is found in a millisecond; hardware may have had to wait for one of the
/// host's processors.
fn measure(lab: &mut Lab) -> Result<f64, EngineError> {
    let speed = measure_for(lab, 1)?;
    match speed < HARDWARE_SPEED && speed > DOUBTFUL_SPEED {
        true => measure_for(lab, 5),
        false => Ok(speed),
    }
}

/// The same by a loop that takes so many milliseconds at most.
fn measure_for(lab: &mut Lab, milliseconds: u64) -> Result<f64, EngineError> {
    let steps = milliseconds * 1_000_000;
    // DEC RCX; JNZ back; OUT
    let code = [0x48, 0xff, 0xc9, 0x75, 0xfb, 0xe6, REPORT, 0xf4];
    let mut state = Lab::state(0);
    state.gpr[gpr::RCX] = steps;
    let (ending, left, time) = lab.run(&state, &code, Duration::from_millis(milliseconds))?;
    match ending {
        Ending::Reported(_) | Ending::Late => {
            let steps = steps - left.gpr[gpr::RCX].min(steps);
            Ok(steps as f64 / time.as_secs_f64() / 1e6)
        }
        ending => Err(EngineError::Unsupported(format!(
            "this host's KVM does not even run a loop ({ending:?}): use --engine soft"
        ))),
    }
}

fn has(lab: &mut Lab, quirk: Quirk) -> Result<bool, EngineError> {
    let kernel = Lab::state(0);
    Ok(match quirk {
        Quirk::EmulatesKernels => {
            // ADDPS XMM0, XMM1; OUT
            let code = [0x0f, 0x58, 0xc1, 0xe6, REPORT, 0xf4];
            !matches!(lab.run(&kernel, &code, PATIENCE)?.0, Ending::Reported(_))
        }
        Quirk::RefusesInterrupts => {
            // INT 0x80
            let ending = lab.run(&Lab::state(3), &[0xcd, 0x80, 0xf4], PATIENCE)?.0;
            ending != Ending::Trapped(0x80)
        }
        Quirk::RefusesLegacyPaging => !pages_in_32_bits(lab)?,
        Quirk::FixesTsc => {
            let mut state = kernel;
            state.tsc = 1 << 50;
            let kept = lab.keep(&state)?.tsc;
            kept.abs_diff(state.tsc) > 1 << 40
        }
        Quirk::ReplacesCpuid => {
            // CPUID; OUT
            let mut state = kernel;
            (state.gpr[gpr::RAX], state.gpr[gpr::RCX]) = (7, 0);
            let code = [0x0f, 0xa2, 0xe6, REPORT, 0xf4];
            let left = lab.run(&state, &code, PATIENCE)?.1;
            left.gpr[gpr::RBX] as u32 & !lab.features()[1] != 0
        }
        Quirk::DropsPointers => {
            let (mut state, pointer) = (kernel, 8..16);
            state.xsave.0[pointer.clone()].copy_from_slice(&CODE.to_le_bytes());
            // OUT
            let left = lab.run(&state, &[0xe6, REPORT, 0xf4], PATIENCE)?.1;
            left.xsave.0[pointer.clone()] != state.xsave.0[pointer]
        }
    })
}

/// Switches paging on in 32-bit mode, by the tables of 64-bit mode: the pointers make sense as 32-bit entries.
fn pages_in_32_bits(lab: &mut Lab) -> Result<bool, EngineError> {
    let mut state = Lab::state(0);
    state.efer = 0;
    state.cr0 &= !cr0::PG;
    // The directory at 3000 as one of 32-bit paging: its first entry is a page of 4 MiB.
    state.cr3 = 0x3000;
    state.cr4 = x86::cr::cr4::PSE;
    state.segments[1].attributes = Attributes(0xc09b);
    state.tr.limit = 0x67;
    state.idtr.limit = 0;
    // MOV EAX, CR0; BTS EAX, 31; MOV CR0, EAX; OUT
    let code = [
        0x0f, 0x20, 0xc0, 0x0f, 0xba, 0xe8, 31, 0x0f, 0x22, 0xc0, 0xe6, REPORT, 0xf4,
    ];
    let ending = lab.run(&state, &code, PATIENCE)?.0;
    Ok(matches!(ending, Ending::Reported(_)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use iface::Engine;
    use soft::SoftEngine;

    use super::*;
    use crate::lab::{HostClock, memory};

    /// The software CPU is as a processor should be, so an experiment that finds something there is wrong.
    #[test]
    fn the_software_cpu_has_no_quirks() {
        let ram = memory().expect("there is memory");
        let engine = SoftEngine::new(soft::Config {
            ram: ram.clone(),
            clock: Arc::new(HostClock),
            cpus: 1,
            tsc_khz: 1_000_000,
            translate: soft::Translate::default(),
            code_cache: soft::Config::CODE_CACHE,
        });
        let vcpu = engine
            .and_then(|engine| engine.vcpu(0))
            .expect("it has one");
        let processor = x86::cpuid::Processor {
            apic_id: 0,
            cpus: 1,
            tsc_khz: 1_000_000,
            apic: true,
            osxsave: false,
            xcr0: 1,
        };
        let mut lab = Lab::over(ram, vcpu, processor.cpuid(7, 0));
        for quirk in Quirk::ALL {
            assert!(!has(&mut lab, quirk).expect("it runs"), "{quirk:?}");
        }
        assert!(measure(&mut lab).expect("it runs a loop") > 1.0);
    }

    #[test]
    fn hardware_is_fast_and_has_no_quirks() {
        let findings = |speed, quirks: &[Quirk]| Findings {
            speed,
            quirks: quirks.to_vec(),
        };
        assert!(findings(1500.0, &[]).is_hardware());
        assert!(!findings(100.0, &[]).is_hardware());
        assert!(!findings(1500.0, &[Quirk::FixesTsc]).is_hardware());
        assert!(findings(1500.0, &[Quirk::DropsPointers]).is_hardware());
    }
}
