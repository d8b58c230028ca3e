# Loads, stores, and read-modify-writes across a page boundary, onto frames that do not follow each other.
# expect: exit=0x10
.include "long.inc"
.set EDGE, DATA+0x1000
.set SECOND, DATA+0x5000            # the frame behind EDGE
main:
    fninit
    mov rax, cr4
    or eax, 0x600                   # OSFXSR, OSXMMEXCPT
    mov cr4, rax
    PTE EDGE, SECOND+P_+RW
    mov rax, 0x8877665544332211
    .set n, 1
    .rept 7
    mov qword ptr [EDGE-8], 0
    mov qword ptr [EDGE], 0
    mov [EDGE-n], rax
    mov rbx, [EDGE-n]
    EQ64 rbx, rax
    mov rbx, [SECOND]
    mov rcx, rax
    shr rcx, 8*n
    EQ64 rbx, rcx
    .set n, n + 1
    .endr
    # 2 and 4 bytes
    mov qword ptr [EDGE-8], 0
    mov qword ptr [EDGE], 0
    mov word ptr [EDGE-1], 0x1234
    movzx ebx, byte ptr [SECOND]
    EQ64 rbx, 0x12
    mov dword ptr [EDGE-3], 0x89abcdef
    movzx ebx, byte ptr [SECOND]
    EQ64 rbx, 0x89
    add dword ptr [EDGE-3], 0x11111111
    mov ebx, [EDGE-3]
    EQ64 rbx, "[sum]"
    lock xadd [EDGE-2], ebx
    mov edx, 0x5566
    xchg [EDGE-1], dx
    movzx ebx, byte ptr [SECOND]
    EQ64 rbx, 0x55
    lock inc qword ptr [EDGE-4]
    # 16 and 10 bytes
    movups xmm0, [pattern]
    movups [EDGE-5], xmm0
    mov rbx, [SECOND]
    EQ64 rbx, [pattern+5]
    movups xmm1, [EDGE-5]
    movups [RESULTS], xmm1
    EQ64 [RESULTS], [pattern]
    EQ64 [RESULTS+8], [pattern+8]
    fldpi
    fstp tbyte ptr [EDGE-3]
    mov rbx, [SECOND]
    shl rbx, 8                      # seven of the ten bytes are there
    fld tbyte ptr [EDGE-3]
    fstp tbyte ptr [RESULTS]
    mov rcx, [RESULTS+3]
    shl rcx, 8
    EQ64 rbx, rcx
    # PUSH, POP and CALL
    mov rsi, rsp
    mov rsp, EDGE+4
    push 0x12345678
    mov ebx, [SECOND]
    pop rcx
    mov rsp, rsi
    EQ64 rbx, 0
    EQ64 rcx, 0x12345678
    PASS64
.balign 8
sum: .quad 0x9abcdf00
pattern: .quad 0x0123456789abcdef, 0xfedcba9876543210
