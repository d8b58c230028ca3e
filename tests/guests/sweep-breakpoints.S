# Sweep: data breakpoints of every kind, length and alignment against reads, writes and exchanges of 1 to 16 bytes at
# every offset; which of them hit.
# differs: qemu: it watches writes alone
# expect: exit=0x10 mem[0x600]=0xfc4a4243 mem[0x608]=16896
.include "long.inc"
.include "sweep.inc"
.macro TRY insn:vararg
    xor eax, eax
    mov dr6, rax
    FORGET
    EXPECT64 .Lafter\@
    \insn
    nop
.Lafter\@:
    mov qword ptr [TRAP_RESUME], 0
    mov rax, dr6
    and eax, 0xf
    mov ecx, [TRAP_VEC]
    shl ecx, 8
    or eax, ecx
    OUTCOME64
.endm
main:
    mov rax, cr4
    or eax, 0x600
    mov cr4, rax
    xor ebp, ebp                    # bits 0 and 1 the kind, 2 and 3 the length, 4 to 6 the address
1:  mov eax, ebp
    and eax, 3
    cmp eax, 2                      # I/O wants CR4.DE, execution another guest
    je 9f
    test eax, eax
    jz 9f
    mov eax, ebp
    shr eax, 4
    add eax, DATA+8
    mov dr0, rax
    mov eax, ebp
    and eax, 15
    shl eax, 16
    or eax, 0x401
    mov dr7, rax
    mov ebx, DATA
2:  TRY mov al, [rbx]
    TRY mov [rbx], al
    TRY mov ax, [rbx]
    TRY mov [rbx], ax
    TRY mov eax, [rbx]
    TRY mov [rbx], eax
    TRY mov rax, [rbx]
    TRY mov [rbx], rax
    TRY lock add dword ptr [rbx], 1
    TRY movups xmm0, [rbx]
    TRY movups [rbx], xmm0
    inc ebx
    cmp ebx, DATA+24
    jne 2b
9:  inc ebp
    cmp ebp, 128
    jne 1b
    mov eax, 0x400
    mov dr7, rax
    PASS64
