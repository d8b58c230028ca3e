# Sweep: alignment checks at CPL 3 for many forms of access at sixteen offsets: which fault.
# differs: qemu: it checks no alignment
# expect: exit=0x10 mem[0x600]=0x84bf6160 mem[0x608]=416
.include "long.inc"
.include "sweep.inc"
.set AREA, USER_STACK-0x400
.macro TRY insn:vararg
    .section .user, "ax"
.Luser\@:
    \insn
    int 0x80
    .section .entry
    FORGET
    lea r9, [rbx+AREA]
    mov ebp, DATA
    mov esi, r9d
    mov edi, USER_STACK-0x200
    mov eax, 1
    xor edx, edx
    xor ecx, ecx
    USER64 .Luser\@, 2+EFLAGS_AC
    LAST_TRAP
    OUTCOME64
    fninit
.endm
main:
    mov rax, cr4
    or eax, 0x600
    mov cr4, rax
    mov rax, cr0
    bts rax, 18                     # AM
    mov cr0, rax
    fninit
    xor ebx, ebx
1:  TRY mov al, [r9]
    TRY mov ax, [r9]
    TRY mov eax, [r9]
    TRY mov rax, [r9]
    TRY mov [r9], ax
    TRY mov [r9], eax
    TRY mov [r9], rax
    TRY add [r9], eax
    TRY lock add [r9], rax
    TRY xchg [r9], ax
    TRY movzx eax, word ptr [r9]
    TRY movsxd rax, dword ptr [r9]
    TRY fld dword ptr [r9]
    TRY fld qword ptr [r9]
    TRY fld tbyte ptr [r9]
    TRY fild word ptr [r9]
    TRY fild qword ptr [r9]
    TRY fnstcw [r9]
    TRY movd xmm0, [r9]
    TRY movq xmm0, qword ptr [r9]
    TRY movsw
    TRY movsd
    TRY movsq
    TRY lodsd
    TRY cmpxchg8b [r9]
    TRY bt dword ptr [r9], 1
    inc ebx
    cmp ebx, 16
    je 2f
    jmp 1b
2:  PASS64
