//! General, segment, control and debug registers.

use iface::EngineError;
use kvm_bindings::{
    KVM_SREGS2_FLAGS_PDPTRS_VALID, kvm_debugregs, kvm_dtable, kvm_regs, kvm_segment, kvm_sregs2,
    kvm_xcrs,
};
use x86::CpuState;
use x86::cr::{cr0, cr4, efer};
use x86::descriptor::{Attributes, Segment, Table};

use crate::error::failed;
use crate::ioctl::{self, done};
use crate::vcpu::KvmVcpu;

pub(super) fn save(vcpu: &KvmVcpu, state: &mut CpuState) -> Result<(), EngineError> {
    let general = done(vcpu.fd.get_regs()).map_err(failed("reading general registers"))?;
    let special = ioctl::special_registers(&vcpu.fd).map_err(failed("reading segments"))?;
    let debug = done(vcpu.fd.get_debug_regs()).map_err(failed("reading debug registers"))?;
    let extended = done(vcpu.fd.get_xcrs()).map_err(failed("reading XCR0"))?;
    save_general(&general, state);
    save_special(&special, state);
    state.dr = [
        debug.db[0],
        debug.db[1],
        debug.db[2],
        debug.db[3],
        debug.dr6,
        debug.dr7,
    ];
    let count = (extended.nr_xcrs as usize).min(extended.xcrs.len());
    if let Some(first) = extended.xcrs[..count].iter().find(|one| one.xcr == 0) {
        state.xcr0 = first.value;
    }
    Ok(())
}

pub(super) fn load(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    load_special(vcpu, state)?;
    load_general(vcpu, state)?;
    load_extended(vcpu, state)?;
    load_debug(vcpu, state)
}

/// Replaces what differs between two states.
pub(super) fn load_changes(
    vcpu: &KvmVcpu,
    before: &CpuState,
    after: &CpuState,
) -> Result<(), EngineError> {
    if special(before) != special(after) {
        load_special(vcpu, after)?;
    }
    if general(before) != general(after) {
        load_general(vcpu, after)?;
    }
    if before.xcr0 != after.xcr0 {
        load_extended(vcpu, after)?;
    }
    if before.dr != after.dr {
        load_debug(vcpu, after)?;
    }
    Ok(())
}

fn misfit<E>(what: String) -> impl FnOnce(E) -> EngineError {
    move |_| EngineError::State(format!("{what} that this host's KVM does not take"))
}

fn load_special(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    ioctl::set_special_registers(&vcpu.fd, &special(state))
        .map_err(misfit("segments or control registers".to_owned()))
}

fn load_general(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    done(vcpu.fd.set_regs(&general(state))).map_err(misfit("general registers".to_owned()))
}

fn load_extended(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    let mut extended = kvm_xcrs {
        nr_xcrs: 1,
        ..Default::default()
    };
    extended.xcrs[0].value = state.xcr0;
    let misfit = misfit(format!("XCR0 of {:#x}", state.xcr0));
    done(vcpu.fd.set_xcrs(&extended)).map_err(misfit)
}

fn load_debug(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    let [db0, db1, db2, db3, dr6, dr7] = state.dr;
    let debug = kvm_debugregs {
        db: [db0, db1, db2, db3],
        dr6,
        dr7,
        ..Default::default()
    };
    done(vcpu.fd.set_debug_regs(&debug)).map_err(misfit("debug registers".to_owned()))
}

fn save_general(regs: &kvm_regs, state: &mut CpuState) {
    state.gpr = [
        regs.rax, regs.rcx, regs.rdx, regs.rbx, regs.rsp, regs.rbp, regs.rsi, regs.rdi, regs.r8,
        regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15,
    ];
    state.rip = regs.rip;
    state.rflags = regs.rflags;
}

fn general(state: &CpuState) -> kvm_regs {
    let [
        rax,
        rcx,
        rdx,
        rbx,
        rsp,
        rbp,
        rsi,
        rdi,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
    ] = state.gpr;
    kvm_regs {
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rsp,
        rbp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip: state.rip,
        rflags: state.rflags,
    }
}

/// Paging by page-directory pointers that the processor holds.
fn has_pointers(state: &CpuState) -> bool {
    state.cr0 & cr0::PG != 0 && state.cr4 & cr4::PAE != 0 && state.efer & efer::LMA == 0
}

fn save_special(sregs: &kvm_sregs2, state: &mut CpuState) {
    state.segments = [sregs.es, sregs.cs, sregs.ss, sregs.ds, sregs.fs, sregs.gs].map(from_segment);
    state.ldtr = from_segment(sregs.ldt);
    state.tr = from_segment(sregs.tr);
    state.gdtr = from_table(sregs.gdt);
    state.idtr = from_table(sregs.idt);
    state.cr0 = sregs.cr0;
    state.cr2 = sregs.cr2;
    state.cr3 = sregs.cr3;
    state.cr4 = sregs.cr4;
    state.efer = sregs.efer;
    if sregs.flags & u64::from(KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0 {
        state.pdpte = sregs.pdptrs;
    }
}

fn special(state: &CpuState) -> kvm_sregs2 {
    let [es, cs, ss, ds, fs, gs] = state.segments.map(to_segment);
    let pointers = has_pointers(state);
    kvm_sregs2 {
        cs,
        ds,
        es,
        fs,
        gs,
        ss,
        tr: to_segment(state.tr),
        ldt: to_segment(state.ldtr),
        gdt: to_table(state.gdtr),
        idt: to_table(state.idtr),
        cr0: state.cr0,
        cr2: state.cr2,
        cr3: state.cr3,
        cr4: state.cr4,
        cr8: u64::from(state.lapic.regs[0x8] >> 4 & 0xf),
        efer: state.efer,
        apic_base: state.lapic.base,
        flags: if pointers {
            KVM_SREGS2_FLAGS_PDPTRS_VALID.into()
        } else {
            0
        },
        pdptrs: if pointers { state.pdpte } else { [0; 4] },
    }
}

fn from_segment(segment: kvm_segment) -> Segment {
    let bits = |value: u8, at: u32| u32::from(value) << at;
    let attributes = bits(segment.type_, 0)
        | bits(segment.s, 4)
        | bits(segment.dpl, 5)
        | bits(segment.present, 7)
        | bits(segment.avl, 12)
        | bits(segment.l, 13)
        | bits(segment.db, 14)
        | bits(segment.g, 15);
    let unusable = if segment.unusable != 0 {
        Attributes::UNUSABLE
    } else {
        0
    };
    Segment {
        selector: segment.selector,
        base: segment.base,
        limit: segment.limit,
        attributes: Attributes(attributes | unusable),
    }
}

fn to_segment(segment: Segment) -> kvm_segment {
    let attributes = segment.attributes;
    let bit = |at: u32| (attributes.0 >> at & 1) as u8;
    kvm_segment {
        base: segment.base,
        limit: segment.limit,
        selector: segment.selector,
        type_: attributes.kind(),
        present: bit(7),
        dpl: attributes.dpl(),
        db: bit(14),
        s: bit(4),
        l: bit(13),
        g: bit(15),
        avl: bit(12),
        unusable: attributes.is_unusable().into(),
        padding: 0,
    }
}

fn from_table(table: kvm_dtable) -> Table {
    Table {
        base: table.base,
        limit: table.limit,
    }
}

fn to_table(table: Table) -> kvm_dtable {
    kvm_dtable {
        base: table.base,
        limit: table.limit,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_go_there_and_back() {
        for attributes in [0x93, 0x9b, 0xa09b, 0xc0f3, 0x8b, 0x1_0000, 0x1_0093, 0x4082] {
            let segment = Segment {
                selector: 0x33,
                base: 0xffff_8000_1234_5678,
                limit: 0xf_ffff,
                attributes: Attributes(attributes),
            };
            assert_eq!(from_segment(to_segment(segment)), segment);
        }
    }

    #[test]
    fn registers_go_there_and_back() {
        let mut state = CpuState::reset(0);
        state.gpr = std::array::from_fn(|index| index as u64 + 100);
        (state.rip, state.rflags, state.cr2) = (7, 0x246, 9);
        let mut back = CpuState::reset(0);
        save_general(&general(&state), &mut back);
        save_special(&special(&state), &mut back);
        assert_eq!(back, state);
    }
}
