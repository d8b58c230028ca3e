# The saved resume flag: set by faults, clear for traps, software interrupts and interrupts; kept by REP in the middle.
# differs: qemu: it never sets RF
# expect: exit=0x10
.include "long.inc"
.macro RF expected
    mov rax, [TRAP_FLAGS]
    and eax, EFLAGS_RF
    EQ64 rax, (\expected)
.endm
main:
    FAULT64 6, 0, ud2
    RF EFLAGS_RF
    PTE DATA, 0
    FAULT64 14, 0, mov eax, [DATA]
    RF EFLAGS_RF
    mov eax, 0x400
    FAULT64 13, 0x400, mov fs, eax
    RF EFLAGS_RF
    xor ecx, ecx
    FAULT64 0, 0, div ecx
    RF EFLAGS_RF
    EXPECT64 1f
    int3
1:  RF 0
    EXPECT64 1f
    int 0x60
1:  RF 0
    mov ecx, 100
    mov edi, DATA-3
    FAULT64 14, 2, rep stosb
    RF EFLAGS_RF
    # IRET sets RF, which the next instruction uses up.
    push KDATA
    push BOOT_STACK
    push 2+EFLAGS_RF
    push KCODE64
    push offset 1f
    iretq
1:  pushfq                          # PUSHF never shows it
    pop rax
    EQ64 rax, 2
    EXPECT64 1f
    int 0x60
1:  RF 0
    PASS64
