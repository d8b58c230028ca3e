# Paravirtual end of interrupt, if CPUID offers it: a bit in memory that the guest may clear in place of an EOI, when it
# finds it set.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "msr.inc"
.set FLAG, DATA
main:
    mov eax, 0x40000000
    cpuid
    cmp ebx, 0x4b4d564b
    jne done
    mov eax, 0x40000001
    cpuid
    bt eax, 6
    jnc done
    APIC_ENABLE
    GATE64 0x41, handler
    GATE64 0x52, handler
    mov dword ptr [FLAG], 0
    MSR 0x4b564d04, FLAG+1
    xor ebx, ebx
    mov ebp, 1
1:  SELF_IPI 0x41
    LET_IN
    EQ64 rbx, rbp
    APIC_BIT APIC_ISR, 0x41
    EQ64 rax, 0                     # the EOI has happened, whichever way
    inc ebp
    cmp ebp, 20
    jne 1b
    # One behind the other: the second one must not be lost.
    SELF_IPI 0x41
    SELF_IPI 0x52
    LET_IN
    EQ64 rbx, 21
    MSR 0x4b564d04, 0
    mov dword ptr [FLAG], 0
    SELF_IPI 0x41
    LET_IN
    EQ64 rbx, 22
    mov eax, [FLAG]
    EQ64 rax, 0
done:
    PASS64
handler:
    push rdx
    inc ebx
    btr dword ptr [FLAG], 0
    jc 1f
    APIC_EOI_NOW
1:  pop rdx
    iretq
