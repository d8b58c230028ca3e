# INS and OUTS: with REP, in both directions, with page faults half way and the I/O done for what was counted; the
# direction of memory checks.
# expect: exit=0x10
.include "long.inc"
.set SCRATCH, 0x3ff                 # a byte of the UART that keeps what it is given
.set EDGE, DATA+0x1000
main:
    cld
    mov edx, SCRATCH
    mov dword ptr [DATA], 0x44332211
    mov esi, DATA
    outsb
    EQ64 rsi, DATA+1
    in al, dx
    movzx eax, al
    EQ64 rax, 0x11
    mov ecx, 3
    rep outsb
    EQ64 rcx, 0
    EQ64 rsi, DATA+4
    in al, dx
    movzx eax, al
    EQ64 rax, 0x44
    mov edi, DATA+8
    mov ecx, 4
    rep insb
    EQ64 rdi, DATA+12
    mov eax, [DATA+8]
    EQ64 rax, 0x44444444
    std
    mov edi, DATA+23
    mov ecx, 2
    rep insb
    cld
    EQ64 rdi, DATA+21
    movzx eax, word ptr [DATA+22]
    EQ64 rax, 0x4444
    # Faults
    PTE EDGE, 0
    mov edi, EDGE-2
    mov ecx, 5
    FAULT64 14, 2, rep insb
    EQ64 rcx, 3
    EQ64 rdi, EDGE
    EQ64 [TRAP_CR2], EDGE
    mov word ptr [EDGE-2], 0x6655
    mov esi, EDGE-2
    mov ecx, 5
    FAULT64 14, 0, rep outsb
    EQ64 rcx, 3
    EQ64 rsi, EDGE
    in al, dx
    movzx eax, al
    EQ64 rax, 0x66
    # A count of zero does nothing.
    xor ecx, ecx
    mov edi, EDGE
    rep insb
    PASS64
