# The local APIC's registers after reset and software enable: version, id, masks, what can be written; disabling masks
# the LVT; unaligned and byte accesses aside.
# differs: qemu: disabled, the LVT takes writes to its mask bits
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    mov ecx, MSR_APIC_BASE
    rdmsr
    mov ebx, 0xfee00900             # enabled, boot CPU
    EQ64 rax, rbx
    EQ64 rdx, 0
    APIC_READ APIC_ID
    EQ64 rax, 0
    APIC_READ APIC_VERSION
    movzx ebx, al
    cmp bl, 0x10
    jb bad
    cmp bl, 0x15
    ja bad
    shr eax, 16
    movzx eax, al
    cmp al, 4                       # at least five LVT entries
    jb bad
    APIC_READ APIC_TPR
    EQ64 rax, 0
    APIC_READ APIC_DFR
    mov ebx, 0xffffffff
    EQ64 rax, rbx
    APIC_READ APIC_SVR
    EQ64 rax, 0xff
    APIC_READ APIC_LVT_TIMER
    EQ64 rax, 0x10000
    # Software-disabled: the mask bit can't be cleared.
    APIC_WRITE APIC_LVT_TIMER, 0x40
    APIC_READ APIC_LVT_TIMER
    EQ64 rax, 0x10040
    APIC_ENABLE
    APIC_WRITE APIC_LVT_TIMER, 0x40
    APIC_READ APIC_LVT_TIMER
    EQ64 rax, 0x40
    APIC_WRITE APIC_LVT_ERROR, 0xfe
    APIC_WRITE APIC_SVR, 0xff
    APIC_READ APIC_LVT_TIMER
    EQ64 rax, 0x10040
    APIC_READ APIC_LVT_ERROR
    EQ64 rax, 0x100fe
    APIC_ENABLE
    APIC_READ APIC_LVT_TIMER
    EQ64 rax, 0x10040               # it stays masked
    APIC_WRITE APIC_LDR, 0x12345678
    APIC_READ APIC_LDR
    EQ64 rax, 0x12000000
    APIC_WRITE APIC_DFR, 0
    APIC_READ APIC_DFR
    EQ64 rax, 0x0fffffff
    APIC_WRITE APIC_TIMER_DIVIDE, 0xff
    APIC_READ APIC_TIMER_DIVIDE
    EQ64 rax, 0xb
    # The globally disabled APIC's page is not there, and CPUID says so.
    mov ecx, MSR_APIC_BASE
    rdmsr
    btr eax, 11
    wrmsr
    mov eax, 1
    cpuid
    bt edx, 9
    jc bad
    PASS64
bad:
    FAIL64
