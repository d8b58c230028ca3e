# User, write and execute rights are the sum over all four levels: one level that refuses is enough.
# expect: exit=0x10
.include "long.inc"
.set VA, 0x8000000000               # its own entries at every level
.set L4, PML4+8
.set L3, TABLES
.set L2, TABLES+0x1000
.set L1, TABLES+0x2000
.macro FLUSH
    mov rax, cr3
    mov cr3, rax
.endm
main:
    mov ecx, MSR_EFER
    rdmsr
    bts eax, 11
    wrmsr
    mov rax, cr0
    bts rax, 16
    mov cr0, rax
    mov qword ptr [L4], L3+P_+RW+US
    mov qword ptr [L3], L2+P_+RW+US
    mov qword ptr [L2], L1+P_+RW+US
    mov qword ptr [L1], DATA+P_+RW+US
    mov byte ptr [DATA], 0xcd       # INT 0x80
    mov byte ptr [DATA+1], 0x80
    mov rbx, VA
    USER64 run
    EQ64 [TRAP_VEC], 0x80
    .irp entry, L4, L3, L2, L1
    # write
    btr qword ptr [\entry], 1
    FLUSH
    FAULT64 14, 3, mov byte ptr [rbx], 0xcd
    USER64 write
    TRAPPED64 14, 7, write
    bts qword ptr [\entry], 1
    # user
    btr qword ptr [\entry], 2
    FLUSH
    mov al, [rbx]
    USER64 read
    TRAPPED64 14, 5, read
    USER64 run
    EQ64 [TRAP_VEC], 14
    EQ64 [TRAP_ERR], 0x15
    EQ64 [TRAP_IP], rbx
    bts qword ptr [\entry], 2
    # execute
    bts qword ptr [\entry], 63
    FLUSH
    mov al, [rbx]
    USER64 run
    EQ64 [TRAP_VEC], 14
    EQ64 [TRAP_ERR], 0x15
    btr qword ptr [\entry], 63
    # present
    btr qword ptr [\entry], 0
    FLUSH
    USER64 read
    TRAPPED64 14, 4, read
    bts qword ptr [\entry], 0
    .endr
    FLUSH
    USER64 write
    EQ64 [TRAP_VEC], 0x80
    PASS64
.section .user, "ax"
run:
    jmp rbx
read:
    mov al, [rbx]
write:
    mov byte ptr [rbx], 0xcd
    int 0x80
