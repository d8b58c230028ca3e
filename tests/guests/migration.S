# A long computation under a ticking timer, for engines that hand it to each other: integers, strings, vectors, x87,
# exceptions, and registers that are set once and looked at in the end. Nothing but the two pages below IST_STACK
# depends on when the timer ticks.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.include "msr.inc"
.set TICKS, 0x6e000
.set ROUNDS, 1500
main:
    APIC_ENABLE
    mov qword ptr [TSS+0x24], IST_STACK
    mov qword ptr [TICKS], 0                    # accessed and dirty, tick or no tick
    mov qword ptr [IST_STACK-8], 0
    GATE64 0x42, tick, 0x8e, 1
    APIC_WRITE APIC_TIMER_DIVIDE, 0xb           # by 1
    APIC_WRITE APIC_LVT_TIMER, 0x20042
    APIC_WRITE APIC_TIMER_INITIAL, 700000
    MSR 0xc0000082, 0x12345678, 0xffff8000      # LSTAR
    MSR 0xc0000102, 0x9abcdef0, 0x7fff          # KERNEL_GS_BASE
    MSR 0xc0000100, 0x11223344, 0x5566          # FS.base
    MSR 0x277, 0x00070406, 0x00010406           # PAT
    mov rax, 0x123456789000
    mov dr0, rax
    mov rax, 0x3000
    mov dr3, rax
    mov rax, cr4
    or eax, 0x600                               # OSFXSR, OSXMMEXCPT
    mov cr4, rax
    fninit
    fldpi
    fldl2e
    mov rax, 0x0123456789abcdef
    movq xmm15, rax
    mov r8, 0x9e3779b97f4a7c15
    mov r15d, ROUNDS                            # tests of engines change it
    xor r9, r9
    xor r10, r10
    sti
round:
    # xorshift
    mov rax, r8
    shl rax, 13
    xor r8, rax
    mov rax, r8
    shr rax, 7
    xor r8, rax
    mov rax, r8
    shl rax, 17
    xor r8, rax
    # A word of a table, and its neighbours by string instructions
    mov rbx, r8
    and ebx, 0xfff8
    mov [DATA+rbx], r8
    lea rsi, [DATA+rbx]
    lea rdi, [DATA+0x20000+rbx]
    mov ecx, 37
    rep movsb
    lea rdi, [DATA+0x40000+rbx]
    mov ecx, 9
    mov rax, r8
    std
    rep stosd
    cld
    # Multiply, divide, carry
    mov rax, r8
    mul r8
    adc r9, rdx
    add r10, rax
    adc r9, 0
    mov rax, r8
    xor edx, edx
    mov rcx, r9
    or rcx, 0x10001
    div rcx
    xor r10, rax
    sub r9, rdx
    shld r9, r10, 7
    rcr r10, 3
    imul r11, r10, 0x1f
    bswap r11
    bts r11, 5
    setc al
    movzx eax, al
    add r10, rax
    # Locked
    lock xadd [DATA+0x60000], r11
    mov rax, [DATA+0x60008]
    mov rdx, r11
    lock cmpxchg [DATA+0x60008], rdx
    # The stack
    push r9
    pushfq
    call mix
    popfq
    pop rax
    xor r9, rax
    add r9, r8
    # Vectors and x87
    movq xmm0, r8
    paddq xmm15, xmm0
    punpcklbw xmm0, xmm15
    movups [DATA+0x60020], xmm0
    fild qword ptr [DATA+0x60020]
    faddp st(1), st
    fld st(0)
    fistp qword ptr [DATA+0x60040]
    add r10, [DATA+0x60040]
    # An exception now and then
    test r15d, 15
    jnz 1f
    mov [DATA+0x60050], r8
    FAULT64 6, 0, ud2
1:  dec r15d
    jnz round
    cli
    APIC_WRITE APIC_TIMER_INITIAL, 0
    # What was set once
    mov ecx, 0xc0000082
    rdmsr
    EQ64 rax, 0x12345678
    mov ecx, 0xc0000102
    rdmsr
    EQ64 rdx, 0x7fff
    mov ecx, 0xc0000100
    rdmsr
    EQ64 rax, 0x11223344
    mov ecx, 0x277
    rdmsr
    EQ64 rdx, 0x10406
    mov rax, dr0
    mov rbx, 0x123456789000
    EQ64 rax, rbx
    mov rax, dr3
    EQ64 rax, 0x3000
    movq [RESULTS], xmm15
    fstp qword ptr [RESULTS+8]
    mov [RESULTS+16], r9
    mov [RESULTS+24], r10
    mov [RESULTS+32], r11
    PASS64
mix:
    mov rax, [rsp+16]
    rol rax, cl
    xor r11, rax
    ret
tick:
    push rdx
    inc qword ptr [TICKS]
    APIC_EOI_NOW
    pop rdx
    iretq
