# Sweep: reads, writes, exchanges and fetches at CPL 0 and 3 through every combination of P, R/W, U/S and NX in the page's
# and the directory's entry, under WP, SMEP, SMAP and EFLAGS.AC: trap, error code, and the entry's accessed and dirty
# bits where it worked.
# differs: qemu: an exchange reads first, as a read
# expect: exit=0x10 mem[0x600]=0x8f67674a mem[0x608]=65536
.include "long.inc"
.include "sweep.inc"
.set VA, 0x40000000
.set L2, TABLES+0x1000
.set L1, TABLES+0x2000
# EBP: bits 0 to 3 the page's P, R/W, U/S, NX; 4 to 7 the directory's; 8 WP; 9 SMEP; 10 SMAP; 11 AC
.macro KERNEL insn:vararg
    mov [L1], r8
    invlpg [rbx]
    FORGET
    push r10
    popfq
    EXPECT64 .Lafter\@
    \insn
    call done
.Lafter\@:
    push 2
    popfq
    LAST_TRAP
    OUTCOME64
    mov eax, [L1]
    and eax, A_+D_
    OUTCOME64
.endm
.macro USER label
    mov [L1], r8
    invlpg [rbx]
    FORGET
    EXPECT64 .Lback\@
    push UDATA
    push USER_STACK
    push r10
    push UCODE64
    push offset \label
    iretq
.Lback\@:
    LAST_TRAP
    OUTCOME64
    mov eax, [L1]
    and eax, A_+D_
    OUTCOME64
.endm
main:
    mov ecx, MSR_EFER
    rdmsr
    bts eax, 11
    wrmsr
    mov qword ptr [PDPT+8], L2+P_+RW+US
    mov byte ptr [DATA], 0xcd       # INT 0x80
    mov byte ptr [DATA+1], 0x80
    xor ebp, ebp
1:  mov r8d, DATA
    mov eax, ebp
    and eax, 7
    or r8, rax
    mov eax, ebp
    and eax, 8
    shl rax, 60
    or r8, rax
    mov r9d, L1
    mov eax, ebp
    shr eax, 4
    and eax, 7
    or r9, rax
    mov eax, ebp
    and eax, 0x80
    shl rax, 56
    or r9, rax
    mov [L2], r9
    mov rax, cr0
    btr rax, 16
    bt ebp, 8
    jnc 2f
    bts rax, 16
2:  mov cr0, rax
    mov rax, cr4
    and eax, ~0x300000
    bt ebp, 9
    jnc 2f
    bts eax, 20
2:  bt ebp, 10
    jnc 2f
    bts eax, 21
2:  mov cr4, rax
    mov r10d, 2
    bt ebp, 11
    jnc 2f
    or r10d, EFLAGS_AC
2:  mov ebx, VA
    KERNEL mov al, [rbx]
    KERNEL mov byte ptr [rbx], 0xcd
    KERNEL lock or byte ptr [rbx], 0
    KERNEL jmp rbx
    USER user_read
    USER user_write
    USER user_exchange
    USER user_fetch
    inc ebp
    cmp ebp, 0x1000
    jne 1b
    PASS64
done:                               # nothing trapped
    mov qword ptr [TRAP_RESUME], 0
    ret
.section .user, "ax"
user_read:
    mov al, [rbx]
    int 0x80
user_write:
    mov byte ptr [rbx], 0xcd
    int 0x80
user_exchange:
    lock or byte ptr [rbx], 0
    int 0x80
user_fetch:
    jmp rbx
