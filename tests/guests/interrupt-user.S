# Timer interrupts at CPL 3: the stack comes from the TSS, and the program goes on with all its registers and flags.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    GATE64 0x42, tick
    APIC_WRITE APIC_TIMER_DIVIDE, 0xb
    APIC_WRITE APIC_LVT_TIMER, 0x20042
    APIC_WRITE APIC_TIMER_INITIAL, 200000
    mov rax, 0x1111111111111111
    mov rbx, 0x2222222222222222
    mov r12, 0x3333333333333333
    xor ecx, ecx
    USER64 user, 0x202
    TRAPPED64 0x80, 0, user_end
    EQ64 [TRAP_SP], USER_STACK
    mov rdx, 0x1111111111111111
    EQ64 rax, rdx
    mov rdx, 0x3333333333333333
    EQ64 r12, rdx
    EQ64 [RESULTS+8], UCODE64
    EQ64 [RESULTS+16], UDATA
    EQ64 [RESULTS+24], TSS_STACK-40
    APIC_WRITE APIC_TIMER_INITIAL, 0
    PASS64
tick:
    push rdx
    push rax
    inc qword ptr [USER_STACK-0x800]
    mov rax, [rsp+24]
    mov [RESULTS+8], rax
    mov rax, [rsp+48]
    mov [RESULTS+16], rax
    lea rax, [rsp+16]
    mov [RESULTS+24], rax
    APIC_EOI_NOW
    pop rax
    pop rdx
    iretq
.section .user, "ax"
user:
    inc rcx
    cmp rcx, rcx
    jne 2f                          # flags must survive
    stc
    jnc 2f
    std
    pushfq
    pop rdx
    cld
    bt edx, 10
    jnc 2f
    cmp qword ptr [USER_STACK-0x800], 20
    jb user
    int 0x80
user_end:
2:  ud2
