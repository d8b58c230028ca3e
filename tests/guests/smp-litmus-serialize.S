# Serializing instructions drain the store buffer: with one between store and load, store buffering does not show. CPUID,
# IRET, MOV to control and debug registers, INVLPG, WRMSR, LIDT.
# cpus: 2
# varies: qemu: its serializing instructions order no memory
# expect: exit=0x10
.set LITMUS_THREADS, 2
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.include "msr.inc"
.include "litmus.inc"
main:
    APIC_ENABLE
    LITMUS_CPUS
    LITMUS 0, sb_fenced_check, sb0_cpuid, sb1_mfence
    LITMUS 1, sb_fenced_check, sb0_iret, sb1_cr3
    LITMUS 2, sb_fenced_check, sb0_invlpg, sb1_wrmsr
    LITMUS 3, sb_fenced_check, sb0_lidt, sb1_dr
    LITMUS_END
    PASS64

.macro SB name, mine, its, result, fence:vararg
\name:
    mov qword ptr [\mine+rbx], 1
    \fence
    mov rax, [\its+rbx]
    mov [\result+rbx], rax
    ret
.endm
SB sb1_mfence, LY, LX, L1, mfence
SB sb0_lidt, LX, LY, L0, lidt [idt_pointer]
sb1_dr:
    xor edx, edx
    mov qword ptr [LY+rbx], 1
    mov dr0, rdx
    mov rax, [LX+rbx]
    mov [L1+rbx], rax
    ret
sb0_cpuid:
    push rbx
    mov qword ptr [LX+rbx], 1
    push rcx
    xor eax, eax
    cpuid
    pop rcx
    pop rbx
    mov rax, [LY+rbx]
    mov [L0+rbx], rax
    ret
sb0_iret:
    mov qword ptr [LX+rbx], 1
    mov rdx, rsp
    push KDATA
    push rdx
    push 2
    push KCODE64
    push offset 1f
    iretq
1:  mov rax, [LY+rbx]
    mov [L0+rbx], rax
    ret
sb1_cr3:
    mov rdx, cr3
    mov qword ptr [LY+rbx], 1
    mov cr3, rdx
    mov rax, [LX+rbx]
    mov [L1+rbx], rax
    ret
SB sb0_invlpg, LX, LY, L0, invlpg [DATA+0x8000]
sb1_wrmsr:
    mov ecx, MSR_STAR
    xor eax, eax
    xor edx, edx
    mov qword ptr [LY+rbx], 1
    wrmsr
    mov rax, [LX+rbx]
    mov [L1+rbx], rax
    ret
# 0: both old; 1, 2: one old; 3: none
sb_check:
    mov rax, [L0+rbx]
    mov rdx, [L1+rbx]
    lea rax, [rax+rdx*2]
    ret
sb_fenced_check:
    call sb_check
    test eax, eax
    jnz 1f
    mov eax, 4
1:  ret
