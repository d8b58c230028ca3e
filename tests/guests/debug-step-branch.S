# Single-stepping over jumps, calls, faults and CPL 3: the trap's RIP is the target, and a faulting instruction does not
# trap.
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
main:
    GATE64 1, step
    push 2+EFLAGS_TF
    popfq
    jmp 1f
    nop
1:  call callee
after_call:
    jc main                         # not taken
not_taken:
    push 2
    popfq
    EQ64 [RESULTS], "offset 1b"
    EQ64 [RESULTS+8], "offset callee"
    EQ64 [RESULTS+16], "offset after_call"
    EQ64 [RESULTS+24], "offset not_taken"
    # CPL 3
    GATE64 1, vectors64+8
    xor eax, eax
    mov dr6, rax
    USER64 user, 2+EFLAGS_TF
    TRAPPED64 1, 0, user_next
    EQ64 [TRAP_CS], UCODE64
    mov rax, [TRAP_FLAGS]
    and eax, EFLAGS_TF
    EQ64 rax, EFLAGS_TF
    DR6_IS DR6_BS
    # INT n from CPL 3: no trap, TF saved and cleared
    USER64 user_next, 2+EFLAGS_TF
    TRAPPED64 0x80, 0, user_end
    # #UD while stepping: the fault alone, TF saved
    USER64 user_ud, 2+EFLAGS_TF
    TRAPPED64 6, 0, user_ud
    mov rax, [TRAP_FLAGS]
    and eax, EFLAGS_TF
    EQ64 rax, EFLAGS_TF
    mov rax, dr6
    and eax, 0xe00f
    EQ64 rax, 0
    PASS64
callee:
    ret
step:
    push rax
    mov rax, [rsp+8]
    mov [RESULTS+rbx*8], rax
    inc ebx
    pop rax
    iretq
.section .user, "ax"
user:
    nop
user_next:
    int 0x80
user_end:
user_ud:
    ud2
