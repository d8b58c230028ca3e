# Execution breakpoints: a fault before the instruction, with DR6.Bn; RF in the saved flags steps over it; enabled by L
# or G; at the first byte alone; at every privilege.
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
main:
    xor eax, eax
    mov dr6, rax
    mov ecx, 5
    BREAKPOINT 0, "offset here", EXEC, LEN1
    EXPECT64 1f
    call here
    FAIL64
1:  TRAPPED64 1, 0, here
    EQ64 rcx, 5
    DR6_IS 1
    mov rsp, BOOT_STACK
    # With RF the handler returns to the same instruction, which then runs.
    GATE64 1, resume
    call here
    EQ64 rcx, 6
    EQ64 rbx, 1
    DR6_IS 1
    call here                       # and the next time it hits again
    EQ64 rcx, 7
    EQ64 rbx, 2
    DR6_IS 1
    # The second byte of an instruction is no place for a breakpoint.
    BREAKPOINT 0, "offset here+1", EXEC, LEN1
    call here
    EQ64 rbx, 2
    # Register 3, globally enabled
    BREAKPOINTS_OFF
    BREAKPOINT 3, "offset here", EXEC, LEN1, GLOBAL
    call here
    EQ64 rbx, 3
    DR6_IS 8
    # Not enabled: no trap
    BREAKPOINTS_OFF
    call here
    EQ64 rbx, 3
    # CPL 3
    GATE64 1, vectors64+8
    BREAKPOINT 1, "offset user_here", EXEC, LEN1
    USER64 user
    TRAPPED64 1, 0, user_here
    EQ64 [TRAP_CS], UCODE64
    DR6_IS 2
    # Before a page fault of the same instruction, and before its single-step trap
    mov rsp, BOOT_STACK
    BREAKPOINTS_OFF
    BREAKPOINT 0, "offset faulting", EXEC, LEN1
    PTE DATA, 0
    EXPECT64 1f
faulting:
    mov eax, [DATA]
    FAIL64
1:  TRAPPED64 1, 0, faulting
    PASS64
here:
    add ecx, 1
    ret
resume:
    inc ebx
    or dword ptr [rsp+16], EFLAGS_RF
    iretq
.section .user, "ax"
user:
    nop
user_here:
    int 0x80
