# Sweep: every bit of the entries at the four levels of paging, for small and large pages, but those at the edge of the
# physical address: which are reserved.
# differs: qemu: reserved bits are reported without the present bit
# expect: exit=0x10 mem[0x600]=0x32d644c1 mem[0x608]=384
.include "long.inc"
.include "sweep.inc"
.set VA, 0x8000000000
.set L4, PML4+8
.set L3, TABLES
.set L2, TABLES+0x1000
.set L1, TABLES+0x2000
.macro LEVEL entry, value
    mov r8, \value
    mov r9d, \entry
    call bits
.endm
main:
    mov rbx, VA
    mov qword ptr [L4], L3+P_+RW+US
    mov qword ptr [L3], L2+P_+RW+US
    mov qword ptr [L2], L1+P_+RW+US
    mov qword ptr [L1], DATA+P_+RW+US
    LEVEL L1, DATA+P_+RW+US
    LEVEL L2, L1+P_+RW+US
    LEVEL L3, L2+P_+RW+US
    LEVEL L4, L3+P_+RW+US
    LEVEL L2, PAGES+P_+RW+US+PS
    LEVEL L3, 0x40000000+P_+RW+US+PS
    LEVEL L3, P_+RW+US+PS
    # with NX
    mov ecx, MSR_EFER
    rdmsr
    bts eax, 11
    wrmsr
    LEVEL L1, DATA+P_+RW+US
    LEVEL L2, L1+P_+RW+US
    LEVEL L3, L2+P_+RW+US
    LEVEL L4, L3+P_+RW+US
    PASS64
# Flips each bit of what is at R9.
bits:
    mov r10, [r9]
    xor ebp, ebp
1:  cmp ebp, 36
    jb 2f
    cmp ebp, 52
    jb 9f
2:  cmp ebp, 12                     # addresses of tables must stay
    jb 3f
    cmp ebp, 36
    jae 3f
    test r8, PS
    jnz 3f
    cmp r9d, L1
    jne 9f
3:  mov rax, r8
    btc rax, rbp
    mov [r9], rax
    mov rax, cr3
    mov cr3, rax
    FORGET
    EXPECT64 4f
    mov al, [rbx]
4:  mov qword ptr [TRAP_RESUME], 0
    LAST_TRAP
    OUTCOME64
9:  inc ebp
    cmp ebp, 64
    jne 1b
    mov [r9], r10
    ret
