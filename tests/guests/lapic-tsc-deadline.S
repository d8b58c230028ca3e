# TSC-deadline mode: the interrupt comes not before the deadline, the MSR then reads zero; a deadline in the past comes
# at once, zero disarms; in other modes the MSR ignores writes, and the initial count does in this one.
# differs: qemu: its software CPU has no TSC deadline
# differs: bochs: the MSR keeps its value
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "msr.inc"
.set MSR_TSC_DEADLINE, 0x6e0
.macro NOW
    rdtsc
    shl rdx, 32
    or rax, rdx
.endm
.macro ARM
    mov rdx, rax
    shr rdx, 32
    mov ecx, MSR_TSC_DEADLINE
    wrmsr
.endm
main:
    APIC_ENABLE
    GATE64 0x42, tick
    APIC_WRITE APIC_LVT_TIMER, 0x10042          # one-shot, masked
    mov eax, 5
    ARM
    rdmsr
    EQ64 rax, 0                     # ignored
    APIC_WRITE APIC_LVT_TIMER, 0x40042
    mfence
    APIC_WRITE APIC_TIMER_INITIAL, 1000
    APIC_READ APIC_TIMER_CURRENT
    EQ64 rax, 0
    NOW
    add rax, 3000000
    mov rsi, rax
    ARM
    rdmsr
    shl rdx, 32
    or rax, rdx
    EQ64 rax, rsi
    SLEEP_UNTIL 1
    cmp rdi, rsi
    jb bad
    mov ecx, MSR_TSC_DEADLINE
    rdmsr
    EQ64 rax, 0
    EQ64 rdx, 0
    # In the past
    cli
    mov eax, 1
    ARM
    SLEEP_UNTIL 2
    # Disarmed in time
    NOW
    mov rcx, 0x100000000000
    add rax, rcx
    ARM
    xor eax, eax
    ARM
    rdmsr
    EQ64 rax, 0
    # A change of the mode disarms as well.
    NOW
    mov rcx, 0x100000000000
    add rax, rcx
    ARM
    APIC_WRITE APIC_LVT_TIMER, 0x42
    mov ecx, MSR_TSC_DEADLINE
    rdmsr
    EQ64 rdx, 0
    PASS64
bad:
    FAIL64
tick:
    push rax
    push rdx
    NOW
    mov rdi, rax
    inc ebx
    APIC_EOI_NOW
    pop rdx
    pop rax
    iretq
