//! The architectural state of one processor: what is saved, moved between engines, and loaded again.

use serde::{Deserialize, Serialize};

use crate::cr::{cr0, dr6, dr7, xcr0};
use crate::descriptor::{Attributes, Segment, Table};
use crate::lapic::{self, LapicState};
use crate::msr::Msrs;
use crate::{Vector, flags};

/// Numbers of the general registers as instructions encode them.
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod gpr {
    pub const RAX: usize = 0;
    pub const RCX: usize = 1;
    pub const RDX: usize = 2;
    pub const RBX: usize = 3;
    pub const RSP: usize = 4;
    pub const RBP: usize = 5;
    pub const RSI: usize = 6;
    pub const RDI: usize = 7;
    /// By number.
    pub const NAMES: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ];
}

/// Bytes of the XSAVE area in standard format: legacy region, header, AVX.
pub const XSAVE_SIZE: usize = 576 + 256;

/// The registers that XSAVE saves, in the standard (non-compacted) format (SDM vol. 1, 13.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xsave(pub Box<[u8; XSAVE_SIZE]>);

impl Default for Xsave {
    /// The initial configuration: FCW 0x37f, MXCSR 0x1f80, everything else zero.
    fn default() -> Self {
        let mut area = Box::new([0; XSAVE_SIZE]);
        area[0..2].copy_from_slice(&0x37f_u16.to_le_bytes());
        area[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
        area[28..32].copy_from_slice(&0xffff_u32.to_le_bytes());
        area[512..520].copy_from_slice(&xcr0::ALL.to_le_bytes());
        Self(area)
    }
}

impl Serialize for Xsave {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0[..])
    }
}

impl<'de> Deserialize<'de> for Xsave {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        let bytes: Box<[u8; XSAVE_SIZE]> = bytes
            .into_boxed_slice()
            .try_into()
            .map_err(|_| serde::de::Error::custom("XSAVE area of a wrong size"))?;
        Ok(Self(bytes))
    }
}

/// Whether the processor executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    /// Executing instructions.
    Running,
    /// HLT: until an interrupt, NMI, INIT.
    Halted,
    /// After INIT: until a SIPI.
    WaitForSipi,
    /// After a triple fault.
    Shutdown,
}

/// Events between instructions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// What the processor is doing.
    pub activity: Activity,
    /// An exception raised and not yet delivered: vector and error code.
    pub exception: Option<(u8, u32)>,
    /// An interrupt accepted from the PIC or local APIC and not yet delivered.
    pub interrupt: Option<u8>,
    /// STI or MOV SS shadows the next instruction's interrupts.
    pub shadow: bool,
    /// NMIs are blocked until IRET.
    pub nmi_blocked: bool,
    /// An NMI waits.
    pub nmi_pending: bool,
}

/// The complete state of one processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub struct CpuState {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub gpr: [u64; 16],
    pub rip: u64,
    pub rflags: u64,
    /// ES, CS, SS, DS, FS, GS.
    pub segments: [Segment; 6],
    pub ldtr: Segment,
    pub tr: Segment,
    pub gdtr: Table,
    pub idtr: Table,
    pub cr0: u64,
    pub cr2: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
    pub xcr0: u64,
    /// PAE page-directory-pointer entries, as loaded with CR3.
    pub pdpte: [u64; 4],
    /// DR0 to DR3, DR6, DR7.
    pub dr: [u64; 6],
    pub msrs: Msrs,
    pub xsave: Xsave,
    pub lapic: LapicState,
    pub events: Events,
    /// The time-stamp counter at the moment of saving.
    pub tsc: u64,
}

impl CpuState {
    /// The state after RESET (SDM vol. 3, table 9-1), for the processor with this APIC ID. All but ID 0 wait for
    /// a SIPI.
    pub fn reset(apic_id: u32) -> Self {
        let data = Segment {
            selector: 0,
            base: 0,
            limit: 0xffff,
            attributes: Attributes(0x93),
        };
        let mut segments = [data; 6];
        segments[1] = Segment {
            selector: 0xf000,
            base: 0xffff_0000,
            limit: 0xffff,
            attributes: Attributes(0x9b),
        };
        let mut gpr = [0; 16];
        gpr[gpr::RDX] = u64::from(crate::cpuid::SIGNATURE);
        Self {
            gpr,
            rip: 0xfff0,
            rflags: flags::FIXED,
            segments,
            ldtr: Segment {
                selector: 0,
                base: 0,
                limit: 0xffff,
                attributes: Attributes(0x82),
            },
            tr: Segment {
                selector: 0,
                base: 0,
                limit: 0xffff,
                attributes: Attributes(0x8b),
            },
            gdtr: Table {
                base: 0,
                limit: 0xffff,
            },
            idtr: Table {
                base: 0,
                limit: 0xffff,
            },
            cr0: cr0::RESET,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            efer: 0,
            xcr0: xcr0::X87,
            pdpte: [0; 4],
            dr: [0, 0, 0, 0, dr6::FIXED, dr7::FIXED],
            msrs: Msrs::default(),
            xsave: Xsave::default(),
            lapic: LapicState::reset(apic_id),
            events: Events {
                activity: if apic_id == 0 {
                    Activity::Running
                } else {
                    Activity::WaitForSipi
                },
                exception: None,
                interrupt: None,
                shadow: false,
                nmi_blocked: false,
                nmi_pending: false,
            },
            tsc: 0,
        }
    }

    /// What INIT leaves of the state of the processor with this APIC ID (SDM vol. 3, table 9-1): MSRs, TSC, vector
    /// and floating-point registers stay; APIC and everything else is as after RESET. What the processor told
    /// the guest in memory (KVM's MSRs) ends.
    pub fn init(&mut self, apic_id: u32) {
        let fresh = Self::reset(apic_id);
        let caching = cr0::CD | cr0::NW;
        let mut lapic = fresh.lapic;
        lapic.base = self.lapic.base;
        if lapic.base & lapic::BASE_X2APIC != 0 {
            lapic.regs[0x2] = apic_id;
            lapic.regs[0xd] = lapic::x2apic_logical_id(apic_id);
        }
        let mut events = fresh.events;
        if lapic.base & lapic::BASE_BSP == 0 {
            events.activity = Activity::WaitForSipi;
        }
        let mut msrs = self.msrs.clone();
        msrs.kvm_system_time = 0;
        msrs.kvm_steal_time = 0;
        msrs.kvm_pv_eoi = 0;
        *self = Self {
            cr0: fresh.cr0 & !caching | self.cr0 & caching,
            xcr0: self.xcr0,
            msrs,
            xsave: self.xsave.clone(),
            tsc: self.tsc,
            lapic,
            events,
            ..fresh
        };
    }

    /// A startup IPI: the processor begins in real mode at `vector` * 4096; of no effect unless it waits for it.
    pub fn startup(&mut self, vector: u8) {
        if self.events.activity != Activity::WaitForSipi {
            return;
        }
        self.segments[1].selector = u16::from(vector) << 8;
        self.segments[1].base = u64::from(vector) << 12;
        self.rip = 0;
        self.events.activity = Activity::Running;
    }

    /// The current privilege level.
    pub fn cpl(&self) -> u8 {
        if self.cr0 & cr0::PE == 0 {
            0
        } else if self.rflags & flags::VM != 0 {
            3
        } else {
            self.segments[2].attributes.dpl()
        }
    }

    /// Where the processor is, for people: mode, CS:RIP.
    pub fn location(&self) -> String {
        let cs = &self.segments[1];
        let mode = match () {
            () if self.cr0 & cr0::PE == 0 => "real mode",
            () if self.rflags & flags::VM != 0 => "virtual-8086 mode",
            () if self.efer & crate::cr::efer::LMA == 0 => "protected mode",
            () if cs.attributes.is_long() => "64-bit mode",
            () => "compatibility mode",
        };
        format!(
            "{mode}, CPL {}, CS:RIP {:04x}:{:#x}",
            self.cpl(),
            cs.selector,
            self.rip
        )
    }

    /// Queues an exception.
    pub fn raise(&mut self, vector: Vector, error: u32) {
        self.events.exception = Some((vector.0, error));
    }
}

impl LapicState {
    /// The state after RESET (SDM vol. 3, 11.4.7.1).
    pub fn reset(apic_id: u32) -> Self {
        let mut regs = vec![0; 64];
        regs[0x2] = apic_id << 24;
        regs[0x3] = 0x0005_0014;
        regs[0xe] = 0xffff_ffff;
        regs[0xf] = 0xff;
        regs[0x32..=0x37].fill(1 << 16);
        regs[0x2f] = 1 << 16;
        let bsp = if apic_id == 0 { lapic::BASE_BSP } else { 0 };
        Self {
            base: lapic::DEFAULT_BASE | lapic::BASE_ENABLE | bsp,
            regs,
            tsc_deadline: 0,
            timer_remaining: None,
        }
    }
}
