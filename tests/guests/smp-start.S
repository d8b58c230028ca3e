# INIT and startup IPIs start a second CPU in real mode at the vector's page, with the state that a reset leaves; more
# startup IPIs are ignored.
# cpus: 2
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
main:
    APIC_ENABLE
    cld
    mov esi, offset real
    mov edi, 0x6e000
    mov ecx, offset real_end - real
    rep movsb
    APIC_WRITE APIC_ICR_HIGH, 1<<24
    APIC_WRITE APIC_ICR, 0x4500
    DELAY
    APIC_WRITE APIC_ICR, 0x466e
    DELAY
    APIC_WRITE APIC_ICR, 0x466e     # ignored: it runs already
    WAIT_FOR [RESULTS], 0x6e00      # CS
    EQ64 [RESULTS+8], 0             # DS
    EQ64 [RESULTS+16], real_here-real
    mov eax, [RESULTS+24]
    mov ebx, 0x60000010             # CR0
    EQ64 rax, rbx
    EQ64 [RESULTS+48], 0            # EAX to EBP, but for EDX, are zero
    EQ64 [RESULTS+56], 1            # how often it started
    .rept 5
    DELAY                           # for emulators that are late to ignore the last one
    .endr
    # Now in earnest
    SMP_START 1, second
    WAIT_FOR [RESULTS], 1
    EQ64 [RESULTS+8], 1             # its APIC id
    mov eax, 0xfee00800             # no boot CPU
    EQ64 [RESULTS+16], rax
    PASS64
second:
    mov qword ptr [RESULTS+8], 0
    APIC_READ APIC_ID
    shr eax, 24
    mov [RESULTS+8], rax
    mov ecx, MSR_APIC_BASE
    rdmsr
    mov [RESULTS+16], rax
    mov qword ptr [RESULTS], 1
1:  cli
    hlt
    jmp 1b
.code16
real:
    or eax, ebx
    or eax, ecx
    or eax, esi
    or eax, edi
    or eax, ebp
    mov [RESULTS+48], eax
    mov eax, cr0
    mov [RESULTS+24], eax
    mov sp, 0x6000
    mov ax, ds
    mov [RESULTS+8], ax
    call 1f
1:  pop ax
real_here = 1b
    mov [RESULTS+16], ax
    inc word ptr [RESULTS+56]
    mov ax, cs
    mov [RESULTS], ax
2:  cli
    hlt
    jmp 2b
real_end:
.code64
