# Hints and reserved no-operations do nothing where the feature is missing: ENDBR, RDSSP, CLDEMOTE, bound-checking
# leftovers, lock elision prefixes.
# expect: exit=0x10
.include "long.inc"
main:
    mov eax, 7
    xor ecx, ecx
    cpuid
    mov r8d, ecx                    # CET_SS is bit 7
    mov r9d, ebx                    # MPX is bit 14
    .byte 0xf3, 0x0f, 0x1e, 0xfa    # ENDBR64
    .byte 0xf3, 0x0f, 0x1e, 0xfb    # ENDBR32
    mov rax, 0x1234567812345678
    mov rdx, rax
    bt r8d, 7
    jc 1f
    .byte 0xf3, 0x48, 0x0f, 0x1e, 0xc8          # RDSSPQ RAX
    EQ64 rax, rdx
1:  .byte 0xf3, 0x0f, 0x1e, 0xca    # RDSSPD EDX, where shadow stacks are off: nothing
    mov rbx, 0x800000000000
    .byte 0x0f, 0x1c, 0x03          # CLDEMOTE [RBX]: no address is bad
    .byte 0x0f, 0x1d, 0x03
    .byte 0x0f, 0x0d, 0x03          # PREFETCH, PREFETCHW and what else is in its group
    .byte 0x0f, 0x0d, 0x0b
    .byte 0x0f, 0x0d, 0x13
    .byte 0x0f, 0x0d, 0x1b
    .byte 0x0f, 0x0d, 0x3b
    .byte 0x0f, 0x18, 0x3b
    .byte 0x0f, 0x1f, 0x03
    .byte 0x0f, 0x19, 0xc0
    bt r9d, 14
    jc 1f
    .byte 0x0f, 0x1a, 0x03          # BNDLDX
    .byte 0xf3, 0x0f, 0x1b, 0x03    # BNDMK
1:  mov qword ptr [RESULTS], 5
    .byte 0xf2                      # XACQUIRE
    lock inc qword ptr [RESULTS]
    .byte 0xf3                      # XRELEASE
    mov qword ptr [RESULTS+8], 5
    EQ64 [RESULTS], 6
    .byte 0xf3                      # REP RET
    jmp 1f
1:  .byte 0xf3, 0x0f, 0x09          # WBNOINVD runs as WBINVD
    .byte 0x2e, 0x3e, 0x90
    .byte 0x66, 0x90
    pause
    mov rax, -1
    .byte 0x90                      # NOP leaves RAX whole
    EQ64 rax, -1
    .byte 0x87, 0xc0                # XCHG EAX, EAX does not
    mov ecx, 0xffffffff
    EQ64 rax, rcx
    .byte 0x41, 0x90                # XCHG R8D, EAX
    EQ64 r8, rcx
    PASS64
