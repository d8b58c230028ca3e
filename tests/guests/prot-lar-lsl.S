# LAR and LSL: which types they accept, limits in bytes, privilege, and that ZF alone tells.
# expect: exit=0x10
.include "prot.inc"
.macro GRANTED insn, selector, value
    mov eax, 0xdead
    mov ecx, \selector
    \insn eax, ecx
    jnz bad
    .ifc \insn,lar
    and eax, 0x00f0ff00             # bits 16 to 19 are undefined
    .endif
    EQ32 eax, (\value)
.endm
.macro DENIED insn, selector
    mov eax, 0xdead
    mov ecx, \selector
    \insn eax, ecx
    jz bad
    EQ32 eax, 0xdead
.endm
main:
    DESCRIPTOR 0, 0, 0x12345, 0x92, 0
    DESCRIPTOR 1, 0, 0x12345, 0x92, 8
    DESCRIPTOR 2, 0, 0x12345, 0x12, 5           # absent is no matter
    DESCRIPTOR 3, 0, 0x68, 0x8c                 # a call gate
    DESCRIPTOR 4, 0, 0x67, 0x89                 # a TSS
    DESCRIPTOR 5, 0, 0x67, 0x82                 # an LDT
    DESCRIPTOR 6, 0, 0x67, 0x8e                 # an interrupt gate
    DESCRIPTOR 7, 0, 0x67, 0x85                 # a task gate
    DESCRIPTOR 8, 0, 0x67, 0x80                 # reserved
    DESCRIPTOR 9, 0, 0x67, 0x81                 # a 16-bit TSS
    DESCRIPTOR 10, 0, 0x67, 0x84                # a 16-bit call gate
    GRANTED lar, FREE0, 0x00009200
    GRANTED lsl, FREE0, 0x12345
    GRANTED lar, FREE1, 0x00809200
    GRANTED lsl, FREE1, 0x12345fff
    GRANTED lar, FREE2, 0x00501200
    GRANTED lsl, FREE2, 0x12345
    GRANTED lar, FREE3, 0x00008c00
    DENIED lsl, FREE3
    GRANTED lar, FREE4, 0x00008900
    GRANTED lsl, FREE4, 0x67
    GRANTED lar, FREE5, 0x00008200
    GRANTED lsl, FREE5, 0x67
    DENIED lar, FREE6
    DENIED lsl, FREE6
    GRANTED lar, FREE7, 0x00008500
    DENIED lsl, FREE7
    DENIED lar, FREE8
    GRANTED lsl, FREE9, 0x67
    GRANTED lar, FREE10, 0x00008400
    DENIED lar, 0
    DENIED lsl, 0
    DENIED lar, 3
    DENIED lar, 0x400
    DENIED lar, FREE0+4
    DENIED lar, FREE0+3                         # RPL above DPL
    DENIED lsl, FREE0+1
    GRANTED lar, UDATA, 0x00c0f300
    # 16-bit operands
    mov eax, 0xdead0000
    mov ecx, FREE1
    lsl ax, cx
    jnz bad
    EQ32 eax, 0xdead5fff
    lar ax, cx
    EQ32 eax, 0xdead9200
    # CPL 3 does not see what is the kernel's.
    USER32 user
    TRAPPED32 0x80, 0, user_end
    EQ32 esi, 2
    PASS32
bad:
    FAIL32

.section .user, "ax"
user:
    xor esi, esi
    mov ecx, KDATA
    lar eax, ecx
    jz 1f
    inc esi
1:  mov ecx, UDATA
    lar eax, ecx
    jnz 1f
    inc esi
1:  int 0x80
user_end:
