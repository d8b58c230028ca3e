# Exceptions at CPL 3: vector, error code and frame are the same as at CPL 0, the stack is RSP0, IF is as the gate says.
# differs: qemu: error codes count IDT entries by 16
# expect: exit=0x10
.include "long.inc"
.macro USER_FAULT vector, error, insn:vararg
    .section .user, "ax"
.Luser\@:
    \insn
    int 0x80
    .text
    USER64 .Luser\@, 0x202
    TRAPPED64 \vector, \error, .Luser\@
    EQ64 [TRAP_CS], UCODE64
    EQ64 [TRAP_SS], UDATA
    EQ64 [TRAP_SP], USER_STACK
    EQ64 [TRAP_FRAME], TSS_STACK-40
    mov rax, [TRAP_FLAGS]
    and eax, ~EFLAGS_RF
    EQ64 rax, 0x202
.endm
.text
main:
    xor ecx, ecx
    mov ebx, 0x400
    mov edx, KDATA
    mov rdi, 0x800000000000
    USER_FAULT 0, 0, div ecx
    USER_FAULT 6, 0, ud2
    USER_FAULT 13, 0, hlt
    USER_FAULT 13, 0, cli
    USER_FAULT 13, 0x400, mov fs, ebx
    USER_FAULT 13, KDATA, mov fs, edx
    USER_FAULT 13, 0, mov eax, [rdi]
    USER_FAULT 14, 5, mov eax, [DATA]
    USER_FAULT 14, 7, mov [DATA], eax
    USER_FAULT 13, 5*8+2, int 5
    USER_FAULT 13, 0, in al, 0x60
    USER_FAULT 13, 0, rdmsr
    USER_FAULT 13, 0, swapgs
    USER_FAULT 13, 0, mov rax, cr3
    USER_FAULT 13, 0, mov dr0, rax
    USER_FAULT 13, 0, invlpg [rax]
    USER_FAULT 13, 0, wbinvd
    PASS64
