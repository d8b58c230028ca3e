# The timer's divider: dividing by 128 makes it many times slower than dividing by 1, and a change on the way keeps the
# count.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.macro MEASURE divide
    APIC_WRITE APIC_TIMER_DIVIDE, \divide
    APIC_WRITE APIC_TIMER_INITIAL, 0x7fffffff
    rdtsc
    shl rdx, 32
    or rax, rdx
    lea rsi, [rax+20000000]         # a few milliseconds
1:  rdtsc
    shl rdx, 32
    or rax, rdx
    cmp rax, rsi
    jb 1b
    APIC_READ APIC_TIMER_CURRENT
    mov edi, 0x7fffffff
    sub edi, eax
.endm
main:
    APIC_ENABLE
    MEASURE 0xb
    mov ebx, edi
    MEASURE 0xa                     # by 128
    test edi, edi
    jz bad
    imul rdi, rdi, 128
    # Both within a factor of four of each other, for busy hosts
    lea rax, [rbx*4]
    cmp rdi, rax
    ja bad
    shl rdi, 2
    cmp rdi, rbx
    jb bad
    PASS64
bad:
    FAIL64
