# Two CPUs with x2APIC: startup and interrupts by the 64-bit ICR, by physical, logical cluster and broadcast ids.
# cpus: 2
# differs: qemu: its software CPU has no x2APIC
# differs: bochs: LDR can not be read, logical ids do not work
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.include "msr.inc"
.macro X2APIC
    mov ecx, MSR_APIC_BASE
    rdmsr
    or eax, 0xc00
    wrmsr
    MSR 0x80f, 0x1ff
.endm
main:
    APIC_ENABLE
    GATE64 0x41, handler
    SMP_START 1, second             # still by the page
    WAIT_FOR [RESULTS], 1
    X2APIC
    EQ64 [RESULTS+16], 1            # the other one's x2APIC id
    EQ64 [RESULTS+24], 2            # and its logical id
    MSR 0x830, 0x4041, 1
    WAIT_FOR [RESULTS+8], 1
    MSR 0x830, 0x4841, 2
    WAIT_FOR [RESULTS+8], 2
    MSR 0x830, 0x4841, 3            # both, of which this one waits
    WAIT_FOR [RESULTS+8], 3
    MSR 0x830, 0xc4041, 0
    WAIT_FOR [RESULTS+8], 4
    MSR 0x830, 0x4041, 0xffffffff
    WAIT_FOR [RESULTS+8], 5
    mov ecx, 0x822                  # IRR 0x40 to 0x5f
    rdmsr
    and eax, 2
    EQ64 rax, 2
    # INIT and startup by MSR
    MSR 0x830, 0x4500, 1
    DELAY
    mov qword ptr [smp_entry], offset third
    MSR 0x830, 0x4600+(STARTUP>>12), 1
    WAIT_FOR [RESULTS], 3
    PASS64
second:
    X2APIC
    mov ecx, 0x802
    rdmsr
    mov [RESULTS+16], rax
    mov ecx, 0x80d
    rdmsr
    mov [RESULTS+24], rax
    mov qword ptr [RESULTS], 1
    sti
1:  hlt
    jmp 1b
third:
    mov qword ptr [RESULTS], 3
1:  cli
    hlt
    jmp 1b
handler:
    push rax
    push rcx
    push rdx
    MSR 0x80b, 0
    pop rdx
    pop rcx
    pop rax
    inc qword ptr [RESULTS+8]
    iretq
