# Interrupts in the middle of REP: the frame points to the instruction, the counts on the way are consistent, and the
# result is whole.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.set COUNT, 0x200000
main:
    APIC_ENABLE
    GATE64 0x42, tick
    APIC_WRITE APIC_TIMER_DIVIDE, 0xb
    APIC_WRITE APIC_LVT_TIMER, 0x20042
    cld
    mov edi, PAGES
    mov eax, 0x5a
    mov ecx, COUNT
    rep stosb
    APIC_WRITE APIC_TIMER_INITIAL, 100000
    xor ebx, ebx
again:
    mov esi, PAGES
    mov edi, PAGES+COUNT+0x1003
    mov ecx, COUNT
    sti
    nop
here:
    rep movsb
    cli
    cmp ebx, 3                      # three interrupts in the middle are enough
    jb again
    APIC_WRITE APIC_TIMER_INITIAL, 0
    EQ64 [RESULTS], 0
    mov edi, PAGES+COUNT+0x1003
    mov eax, 0x5a
    mov ecx, COUNT
    repe scasb
    EQ64 rcx, 0
    sete al
    movzx eax, al
    EQ64 rax, 1
    PASS64
tick:
    push rax
    push rdx
    cmp qword ptr [rsp+16], offset here
    jne 1f
    cmp ecx, COUNT
    je 1f
    test ecx, ecx
    jz 1f
    inc ebx
    lea rax, [rsi+rcx]
    cmp rax, PAGES+COUNT
    jne 2f
    lea rax, [rdi+rcx]
    cmp rax, PAGES+COUNT+0x1003+COUNT
    je 1f
2:  inc qword ptr [RESULTS]
1:  APIC_EOI_NOW
    pop rdx
    pop rax
    iretq
