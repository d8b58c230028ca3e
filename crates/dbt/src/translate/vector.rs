//! What is known of instructions on vector registers.

use iced_x86::{Instruction, Mnemonic};

use super::rewrite;
use crate::form;

/// Whether an instruction is known to raise no exception once its memory operand was found: a move, an integer or a bitwise
/// operation, whose operand need not be aligned.
pub(super) fn is_calm(instruction: &Instruction) -> bool {
    let bytes = rewrite::memory_operand(instruction).map_or(0, |(_, bytes)| bytes as usize);
    is_calm_mnemonic(instruction.mnemonic())
        && (bytes == 0 || form::alignment(instruction.code(), bytes) == 1)
}

/// The same where no operand is in memory.
#[rustfmt::skip]
fn is_calm_mnemonic(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Movdqu | M::Movups | M::Movupd | M::Movdqa | M::Movaps | M::Movapd | M::Lddqu
            | M::Movd | M::Movq | M::Movss | M::Movsd | M::Movlps | M::Movhps | M::Movlpd | M::Movhpd
            | M::Movlhps | M::Movhlps | M::Movmskps | M::Movmskpd | M::Pmovmskb
            | M::Pand | M::Pandn | M::Por | M::Pxor | M::Andps | M::Andnps | M::Orps | M::Xorps
            | M::Andpd | M::Andnpd | M::Orpd | M::Xorpd | M::Ptest
            | M::Pcmpeqb | M::Pcmpeqw | M::Pcmpeqd | M::Pcmpgtb | M::Pcmpgtw | M::Pcmpgtd
            | M::Paddb | M::Paddw | M::Paddd | M::Paddq | M::Psubb | M::Psubw | M::Psubd | M::Psubq
            | M::Pminub | M::Pmaxub | M::Pslldq | M::Psrldq | M::Psllq | M::Psrlq | M::Pslld | M::Psrld
            | M::Punpcklbw | M::Punpcklwd | M::Punpckldq | M::Punpcklqdq | M::Punpckhqdq
            | M::Pshufb | M::Pshufd | M::Pshuflw | M::Pshufhw | M::Palignr | M::Shufps | M::Unpcklps | M::Unpcklpd
            | M::Vmovdqu | M::Vmovups | M::Vmovupd | M::Vmovdqa | M::Vmovaps | M::Vmovapd
            | M::Vmovd | M::Vmovq | M::Vpmovmskb | M::Vpand | M::Vpandn | M::Vpor | M::Vpxor
            | M::Vpcmpeqb | M::Vpcmpeqw | M::Vpcmpeqd | M::Vpminub | M::Vpsubb | M::Vpaddd | M::Vpaddq | M::Vptest
            | M::Vpbroadcastb | M::Vpbroadcastd | M::Vpbroadcastq | M::Vinserti128 | M::Vextracti128
            | M::Vpshufb | M::Vpshufd | M::Vpalignr | M::Vzeroupper
    )
}

#[cfg(test)]
mod tests {
    use iced_x86::Code;

    use super::*;

    #[test]
    fn what_depends_on_mxcsr_is_not_calm() {
        let calm: Vec<_> = Code::values()
            .filter(|code| is_calm_mnemonic(code.mnemonic()))
            .collect();
        assert!(calm.len() > 150);
        for code in calm {
            assert!(!form::uses_mxcsr(code), "{code:?}");
        }
    }

    #[test]
    fn operands_that_must_be_aligned_are_not_calm() {
        // movdqu xmm0, [rax]; movdqa xmm0, [rax]; movdqa xmm0, xmm1; pxor xmm0, [rax]; vpxor xmm0, xmm0, [rax]; addps
        // xmm0, xmm1; vmovdqa [rax], ymm0
        let codes: [(&[u8], bool); 7] = [
            (&[0xf3, 0x0f, 0x6f, 0], true),
            (&[0x66, 0x0f, 0x6f, 0], false),
            (&[0x66, 0x0f, 0x6f, 0xc1], true),
            (&[0x66, 0x0f, 0xef, 0], false),
            (&[0xc5, 0xf9, 0xef, 0], true),
            (&[0x0f, 0x58, 0xc1], false),
            (&[0xc5, 0xfd, 0x7f, 0], false),
        ];
        for (bytes, expected) in codes {
            let instruction = iced_x86::Decoder::new(64, bytes, 0).decode();
            assert_eq!(is_calm(&instruction), expected, "{instruction}");
        }
    }
}
