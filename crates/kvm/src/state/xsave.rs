//! The XSAVE area.

use iface::EngineError;
use kvm_bindings::kvm_xsave;
use kvm_ioctls::VcpuFd;
use x86::CpuState;
use x86::cr::xcr0;
use x86::state::{XSAVE_SIZE, Xsave};

use crate::error::failed;
use crate::ioctl::{done, set_xsave};
use crate::vcpu::KvmVcpu;

/// XSTATE_BV.
const PRESENT: usize = 512;

pub(super) fn save(fd: &VcpuFd) -> Result<Xsave, EngineError> {
    let area = done(fd.get_xsave()).map_err(failed("reading the XSAVE area"))?;
    let mut bytes = [0; XSAVE_SIZE];
    for (to, word) in bytes.chunks_exact_mut(4).zip(area.region) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    Ok(complete(bytes))
}

pub(super) fn load(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    let mut area = kvm_xsave::default();
    for (word, bytes) in area.region.iter_mut().zip(state.xsave.0.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().expect("chunks of four"));
    }
    set_xsave(&vcpu.fd, &area).map_err(|_| {
        EngineError::State("an XSAVE area that this host's KVM does not take".to_owned())
    })
}

/// Replaces the registers that [`Xsave`] holds, and leaves those that it does not know as they are.
pub(super) fn load_known(vcpu: &KvmVcpu, state: &CpuState) -> Result<(), EngineError> {
    const WORD: usize = PRESENT / 4;
    let mut area = done(vcpu.fd.get_xsave()).map_err(failed("reading the XSAVE area"))?;
    let unknown = area.region[WORD] & !(xcr0::ALL as u32);
    for (word, bytes) in area.region.iter_mut().zip(state.xsave.0.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().expect("chunks of four"));
    }
    area.region[WORD] |= unknown;
    set_xsave(&vcpu.fd, &area).map_err(failed("writing the XSAVE area"))
}

/// Writes out components in their initial configuration, as [`Xsave`] has them.
fn complete(mut bytes: [u8; XSAVE_SIZE]) -> Xsave {
    let initial = Xsave::default();
    let header: [u8; 8] = bytes[PRESENT..PRESENT + 8]
        .try_into()
        .expect("a slice of eight");
    let present = u64::from_le_bytes(header);
    let parts = [
        (xcr0::X87, 0..24),
        (xcr0::X87, 32..160),
        (xcr0::SSE, 160..416),
        (xcr0::AVX, 576..XSAVE_SIZE),
    ];
    for (component, range) in parts {
        if present & component == 0 {
            bytes[range.clone()].copy_from_slice(&initial.0[range]);
        }
    }
    if present & (xcr0::SSE | xcr0::AVX) == 0 {
        bytes[24..28].copy_from_slice(&initial.0[24..28]);
    }
    // The mask of MXCSR, unused bytes and the header are the same for everybody.
    bytes[28..32].copy_from_slice(&initial.0[28..32]);
    bytes[416..576].copy_from_slice(&initial.0[416..576]);
    Xsave(Box::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_initial_is_written_out() {
        assert_eq!(complete([0; XSAVE_SIZE]), Xsave::default());
        let mut bytes = [0xaa; XSAVE_SIZE];
        bytes[PRESENT..PRESENT + 8].copy_from_slice(&xcr0::SSE.to_le_bytes());
        let area = complete(bytes);
        assert_eq!(area.0[0..2], [0x7f, 3]);
        assert_eq!((area.0[24], area.0[160], area.0[600]), (0xaa, 0xaa, 0));
    }
}
