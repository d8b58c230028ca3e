# A single-step trap and an interrupt due at the same boundary: the trap comes first, then the interrupt in its handler's
# place or after it; both see the same instruction.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    GATE64 1, step
    GATE64 0x41, handler
    xor ebx, ebx
    SELF_IPI 0x41
    # POPF sets IF and TF at once: the interrupt comes before the next instruction, with TF saved; the step after it.
    push 2+EFLAGS_IF+EFLAGS_TF
    popfq
one:
    nop
two:
    push 2
    popfq
    EQ64 [RESULTS], 0x4101
    EQ64 [RESULTS+8], "offset one"
    EQ64 [RESULTS+16], "offset two"
    PASS64
handler:
    cmp qword ptr [RESULTS+8], 0
    jne 1f
    push rax
    push rdx
    mov rax, [rsp+16]
    mov [RESULTS+8], rax
    shl qword ptr [RESULTS], 8
    or qword ptr [RESULTS], 0x41
    APIC_EOI_NOW
    pop rdx
    pop rax
1:  iretq
step:
    inc ebx
    cmp ebx, 1
    jne 1f
    push rax
    mov rax, [rsp+8]
    mov [RESULTS+16], rax
    shl qword ptr [RESULTS], 8
    or qword ptr [RESULTS], 0x01
    pop rax
1:  iretq
