//! Every instruction form that both sides can execute, found by trying all opcodes in the decoder.

use std::collections::BTreeMap;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

use crate::Bits;

/// How an instruction's opcode is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// Legacy prefixes, an escape map (0: none, 1: 0F, 2: 0F38, 3: 0F3A) and a byte.
    Legacy {
        /// 66, F2, F3 in this order, zero-padded.
        prefixes: [u8; 2],
        /// REX.W.
        wide: bool,
        /// Escape map.
        map: u8,
        /// Opcode byte.
        byte: u8,
    },
    /// VEX.
    Vex {
        /// Map 1 to 3.
        map: u8,
        /// Implied prefix 0 to 3.
        pp: u8,
        /// VEX.W.
        wide: bool,
        /// VEX.L.
        long: bool,
        /// Opcode byte.
        byte: u8,
    },
}

/// A template from which cases are made.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The instruction.
    pub code: Code,
    /// The mode it is for.
    pub bits: Bits,
    /// How it begins.
    pub opcode: Opcode,
    /// A ModRM byte that decodes to it, if it has one.
    pub modrm: u8,
    /// Its operand is in memory.
    pub memory: bool,
}

impl Opcode {
    /// Appends prefixes and opcode; `extension` has R, X and B in bits 2, 1 and 0, `vvvv` a register number.
    pub fn write(self, bits: Bits, extension: u8, vvvv: u8, to: &mut Vec<u8>) {
        match self {
            Self::Legacy {
                prefixes,
                wide,
                map,
                byte,
            } => {
                to.extend(prefixes.iter().filter(|&&prefix| prefix != 0));
                let rex = extension | u8::from(wide) << 3;
                if bits == Bits::B64 && rex != 0 {
                    to.push(0x40 | rex);
                }
                to.extend_from_slice(
                    [&[][..], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]][usize::from(map)],
                );
                to.push(byte);
            }
            Self::Vex {
                map,
                pp,
                wide,
                long,
                byte,
            } => {
                let extension = if bits == Bits::B64 { extension } else { 0 };
                let vvvv = if bits == Bits::B64 { vvvv } else { vvvv & 7 };
                to.push(0xc4);
                to.push(!extension << 5 | map);
                to.push(u8::from(wide) << 7 | (!vvvv & 15) << 3 | u8::from(long) << 2 | pp);
                to.push(byte);
            }
        }
    }
}

/// All forms of a mode that `claims` says the software processor has and that a child process can execute.
pub fn all(bits: Bits, claims: impl Fn(&Instruction) -> bool) -> Vec<Form> {
    let mut found: BTreeMap<(u16, bool), Vec<Form>> = BTreeMap::new();
    let mut bytes = Vec::with_capacity(16);
    for opcode in opcodes() {
        for modrm in modrms(opcode) {
            bytes.clear();
            opcode.write(bits, 0, 0, &mut bytes);
            bytes.push(modrm);
            bytes.extend_from_slice(&[0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let mut decoder = Decoder::new(bits.number(), &bytes, DecoderOptions::NONE);
            let instruction = decoder.decode();
            if instruction.is_invalid() || !is_comparable(&instruction) || !claims(&instruction) {
                continue;
            }
            let memory = instruction.op_kinds().any(|kind| kind == OpKind::Memory);
            let forms = found
                .entry((instruction.code() as u16, memory))
                .or_default();
            let form = Form {
                code: instruction.code(),
                bits,
                opcode,
                modrm,
                memory,
            };
            if forms.len() < 8 && !forms.iter().any(|known| known.opcode == opcode) {
                forms.push(form);
            }
        }
    }
    found.into_values().flatten().collect()
}

fn opcodes() -> impl Iterator<Item = Opcode> {
    const PREFIXES: [[u8; 2]; 6] = [
        [0, 0],
        [0x66, 0],
        [0xf2, 0],
        [0xf3, 0],
        [0x66, 0xf2],
        [0x66, 0xf3],
    ];
    let legacy = (0..4_u8).flat_map(|map| {
        (0..=255_u8).flat_map(move |byte| {
            PREFIXES.into_iter().flat_map(move |prefixes| {
                [false, true].map(|wide| Opcode::Legacy {
                    prefixes,
                    wide,
                    map,
                    byte,
                })
            })
        })
    });
    let vex = (1..4_u8).flat_map(|map| {
        (0..=255_u8).flat_map(move |byte| {
            (0..16_u8).map(move |rest| Opcode::Vex {
                map,
                pp: rest & 3,
                wide: rest & 4 != 0,
                long: rest & 8 != 0,
                byte,
            })
        })
    });
    // Prefixes and escapes are no opcodes.
    legacy
        .filter(|opcode| {
            !matches!(
                opcode,
                Opcode::Legacy {
                    map: 0,
                    byte: 0x0f | 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x62 | 0x64..=0x67 | 0xc4 | 0xc5 | 0xf0 | 0xf2 | 0xf3,
                    ..
                } | Opcode::Legacy { map: 1, byte: 0x38 | 0x3a, .. }
            )
        })
        .chain(vex)
}

fn modrms(opcode: Opcode) -> Vec<u8> {
    let special = matches!(
        opcode,
        Opcode::Legacy {
            map: 0,
            byte: 0xd8..=0xdf,
            ..
        } | Opcode::Legacy {
            map: 1,
            byte: 0x01 | 0xae,
            ..
        }
    );
    let memory = (0..8).flat_map(|reg| [reg << 3 | 3, reg << 3 | 4]);
    if special {
        memory.chain(0xc0..=0xff).collect()
    } else {
        memory.chain((0..8).map(|reg| 0xc1 | reg << 3)).collect()
    }
}

/// What enters or asks the kernel, changes segments, or depends on time, place or the host's configuration.
const EXCLUDED: &[Mnemonic] = &[
    Mnemonic::Syscall,
    Mnemonic::Sysenter,
    Mnemonic::Sysexit,
    Mnemonic::Sysret,
    Mnemonic::Sysexitq,
    Mnemonic::Sysretq,
    Mnemonic::Int,
    Mnemonic::Int1,
    Mnemonic::Int3,
    Mnemonic::Into,
    Mnemonic::Iret,
    Mnemonic::Iretd,
    Mnemonic::Iretq,
    Mnemonic::Retf,
    Mnemonic::Popf,
    Mnemonic::Popfd,
    Mnemonic::Popfq,
    Mnemonic::Sgdt,
    Mnemonic::Sidt,
    Mnemonic::Sldt,
    Mnemonic::Str,
    Mnemonic::Smsw,
    Mnemonic::Lar,
    Mnemonic::Lsl,
    Mnemonic::Verr,
    Mnemonic::Verw,
    Mnemonic::Lds,
    Mnemonic::Les,
    Mnemonic::Lfs,
    Mnemonic::Lgs,
    Mnemonic::Lss,
    Mnemonic::Cpuid,
    Mnemonic::Rdtsc,
    Mnemonic::Rdtscp,
    Mnemonic::Rdpid,
    Mnemonic::Rdpmc,
    Mnemonic::Rdrand,
    Mnemonic::Rdseed,
    Mnemonic::Rdfsbase,
    Mnemonic::Rdgsbase,
    Mnemonic::Wrfsbase,
    Mnemonic::Wrgsbase,
    Mnemonic::Xgetbv,
    Mnemonic::Xsetbv,
    Mnemonic::Xsave,
    Mnemonic::Xsave64,
    Mnemonic::Xsaveopt,
    Mnemonic::Xsaveopt64,
    Mnemonic::Xsavec,
    Mnemonic::Xsavec64,
    Mnemonic::Xsaves,
    Mnemonic::Xsaves64,
    Mnemonic::Xrstor,
    Mnemonic::Xrstor64,
    Mnemonic::Xrstors,
    Mnemonic::Xrstors64,
    Mnemonic::Fsave,
    Mnemonic::Fstenv,
    Mnemonic::Xbegin,
    Mnemonic::Xend,
    Mnemonic::Xabort,
    Mnemonic::Xtest,
    Mnemonic::Enclu,
    Mnemonic::Encls,
    Mnemonic::Enclv,
    Mnemonic::Pconfig,
    Mnemonic::Wbnoinvd,
    Mnemonic::Vmcall,
    Mnemonic::Vmmcall,
    Mnemonic::Hlt,
    Mnemonic::Cldemote,
    Mnemonic::Umwait,
    Mnemonic::Tpause,
    Mnemonic::Umonitor,
    Mnemonic::Serialize,
];

/// Whether executing it in a child process gives an answer that means something.
pub fn is_comparable(instruction: &Instruction) -> bool {
    let mnemonic = instruction.mnemonic();
    let excluded = EXCLUDED.contains(&mnemonic);
    let far = matches!(
        instruction.flow_control(),
        FlowControl::Interrupt | FlowControl::XbeginXabortXend
    ) || matches!(
        instruction.code(),
        Code::Call_ptr1616 | Code::Call_ptr1632 | Code::Jmp_ptr1616 | Code::Jmp_ptr1632
    );
    let segments = (0..instruction.op_count()).any(|operand| {
        instruction.op_kind(operand) == OpKind::Register
            && instruction.op_register(operand).is_segment_register()
    });
    let far_memory = matches!(
        instruction.code(),
        Code::Call_m1616
            | Code::Call_m1632
            | Code::Call_m1664
            | Code::Jmp_m1616
            | Code::Jmp_m1632
            | Code::Jmp_m1664
    );
    // FS and GS have bases of the host's own.
    let host_segment = matches!(instruction.segment_prefix(), Register::FS | Register::GS);
    !excluded && !far && !far_memory && !segments && !host_segment
}
