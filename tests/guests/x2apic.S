# x2APIC: the mode's transitions, registers as MSRs, the 64-bit ICR, the self-IPI register, derived logical ids, and
# #GP for what is not there.
# differs: qemu: its software CPU has no x2APIC
# differs: bochs: LDR and ICR can not be read
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "msr.inc"
.macro READ register
    mov ecx, 0x800+\register/16
    rdmsr
.endm
main:
    APIC_ENABLE
    APIC_WRITE APIC_TPR, 0x20
    mov ecx, 0x803
    FAULT64 13, 0, rdmsr            # not in xAPIC mode
    mov ecx, MSR_APIC_BASE
    rdmsr
    mov esi, eax
    btr eax, 11
    bts eax, 10
    FAULT64 13, 0, wrmsr            # x2APIC without enable
    mov eax, esi
    bts eax, 10
    wrmsr
    rdmsr
    mov ebx, 0xfee00d00
    EQ64 rax, rbx
    READ APIC_TPR
    EQ64 rax, 0x20                  # the state moves along
    READ APIC_SVR
    EQ64 rax, 0x1ff
    READ APIC_ID
    EQ64 rax, 0
    READ APIC_LDR
    EQ64 rax, 1                     # cluster 0, bit 0
    READ APIC_VERSION
    MSR 0x808, 0
    # Interrupts
    GATE64 0x41, handler
    xor ebx, ebx
    MSR 0x83f, 0x41                 # self-IPI
    call let_in
    EQ64 rbx, 1
    MSR 0x830, 0x4041, 0            # physical
    call let_in
    EQ64 rbx, 2
    MSR 0x830, 0x4841, 1            # logical
    call let_in
    EQ64 rbx, 3
    MSR 0x830, 0x4841, 2            # nobody
    call let_in
    EQ64 rbx, 3
    MSR 0x830, 0x4041, 0xffffffff   # all
    call let_in
    EQ64 rbx, 4
    READ APIC_ICR
    EQ64 rax, 0x4041
    mov ebx, 0xffffffff
    EQ64 rdx, rbx
    # What is not there, read-only, write-only, reserved
    .irp number, 0x80e, 0x831, 0x804, 0x8ff
    mov ecx, \number
    FAULT64 13, 0, rdmsr
    .endr
    mov ecx, 0x80b                  # EOI is write-only
    FAULT64 13, 0, rdmsr
    mov ecx, 0x83f
    FAULT64 13, 0, rdmsr
    xor edx, edx
    mov eax, 1
    mov ecx, 0x80b
    FAULT64 13, 0, wrmsr            # and takes zero alone
    mov ecx, 0x802
    FAULT64 13, 0, wrmsr
    mov ecx, 0x80d
    FAULT64 13, 0, wrmsr
    mov ecx, 0x808
    mov eax, 0x100
    FAULT64 13, 0, wrmsr
    mov ecx, 0x828                  # ESR takes zero alone
    FAULT64 13, 0, wrmsr
    # Back to xAPIC only by way of disabled
    mov ecx, MSR_APIC_BASE
    rdmsr
    mov esi, eax
    btr eax, 10
    FAULT64 13, 0, wrmsr
    mov eax, esi
    and eax, ~0xc00
    wrmsr
    bts eax, 11
    wrmsr
    rdmsr
    mov ebx, 0xfee00900
    EQ64 rax, rbx
    PASS64
let_in:
    LET_IN
    ret
handler:
    inc ebx
    MSR 0x80b, 0
    iretq
