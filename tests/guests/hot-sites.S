# Hot code whose data's pages are mapped to other frames, by INVLPG and by a load of CR3, or lose the right to be written.
# Whose stores write code that runs. Whose addresses are not canonical, go to another page each time, or cross into a page that lies elsewhere in memory. Each
# in two instructions side by side, which may be treated differently, and in two that share a page.
# expect: exit=0x10
.include "long.inc"
.set HOT, 12000
.set WARM, 50
.set TIMES, 60
.set FRAME1, DATA+0x10000           # two frames
.set FRAME2, DATA+0x13000
.set ONE, DATA+0x2000               # linear: two pages
.set TWO, DATA+0x4000
.set E1, PT_LOW+((ONE)>>12)*8
.set E2, PT_LOW+((TWO)>>12)*8
.set AT, 0x800
.set NOWHERE, 0x8000000000000800    # not canonical

.macro MAP entry, frame, rights=RW
    mov qword ptr [\entry], \frame+P_+\rights
    invlpg [ONE]
    invlpg [TWO]
.endm
.macro LOOK function, rounds=WARM
    mov ecx, \rounds
    call \function
.endm
# What loads find in the pages of ONE and TWO
.macro FOUND one, two
    LOOK loads
    EQ64 rax, \one
    EQ64 rbx, \two
    EQ64 rdx, "\one+\one+100"
.endm
main:
    mov rax, cr0
    or eax, 0x10000                 # WP
    mov cr0, rax
    mov r8d, ONE+AT
    mov r9d, TWO+AT
    mov qword ptr [FRAME1+AT], 1
    mov qword ptr [FRAME2+AT], 2
    mov qword ptr [FRAME1+AT+8], 101
    mov qword ptr [FRAME2+AT+8], 102

    # Loads
    MAP E1, FRAME1
    MAP E2, FRAME1
    LOOK loads, HOT
    mov r14d, TIMES
1:  MAP E1, FRAME2
    FOUND 2, 1
    MAP E2, FRAME2
    FOUND 2, 2
    mov qword ptr [E1], FRAME1+P_+RW
    mov qword ptr [E2], FRAME2+P_+RW
    mov rax, cr3
    mov cr3, rax
    FOUND 1, 2
    MAP E2, FRAME1
    FOUND 1, 1
    dec r14d
    jnz 1b

    # Stores
    mov r13d, 7
    LOOK stores, HOT
    mov r14d, TIMES
1:  MAP E1, FRAME2
    lea r13d, [r14+100]
    LOOK stores
    EQ64 [FRAME2+AT+16], r13
    EQ64 [FRAME1+AT+24], r13
    EQ64 [FRAME2+AT+32], r13
    EQ64 [FRAME2+AT+40], r13
    MAP E1, FRAME1
    MAP E2, FRAME2
    lea r13d, [r14+200]
    LOOK stores
    EQ64 [FRAME1+AT+16], r13
    EQ64 [FRAME2+AT+24], r13
    EQ64 [FRAME1+AT+32], r13
    EQ64 [FRAME1+AT+40], r13
    lea r13d, [r14+100]
    EQ64 [FRAME2+AT+16], r13
    MAP E2, FRAME1
    dec r14d
    jnz 1b

    # Not to be written any more: loads go on, stores fault, each at its own.
    mov r14d, TIMES
1:  LOOK stores
    MAP E1, FRAME1, 0
    FOUND 1, 1
    EXPECT64 2f
    LOOK stores
    FAIL64
2:  EQ64 rcx, WARM
    TRAPPED64 14, 3, store_one
    EQ64 [TRAP_CR2], ONE+AT+16
    MAP E1, FRAME1
    MAP E2, FRAME1, 0
    EXPECT64 2f
    LOOK stores
    FAIL64
2:  EQ64 rcx, WARM
    TRAPPED64 14, 3, store_two
    EQ64 [TRAP_CR2], TWO+AT+24
    MAP E2, FRAME1
    dec r14d
    jnz 1b

    # No canonical address: first where the last page is known, then where it is not.
    mov r14d, TIMES
1:  mov r8d, ONE+AT
    LOOK loads
    LOOK stores
    call nowhere
    invlpg [ONE]
    call nowhere
    mov rax, cr3
    mov cr3, rax
    call nowhere
    dec r14d
    jnz 1b

    # Another page each time
    MAP E2, FRAME2
    mov r8d, ONE+AT
    mov r9d, TWO+AT
    mov r14d, HOT
1:  mov ecx, 1
    call loads
    EQ64 rax, 1
    EQ64 rbx, 2
    xchg r8, r9
    mov ecx, 1
    call loads
    EQ64 rax, 2
    EQ64 rbx, 1
    xchg r8, r9
    dec r14d
    jnz 1b

    # What they store is code, which runs in between.
    MAP E1, FRAME1
    mov r8d, ONE+AT
    mov r14d, TIMES
1:  mov r13, 0xc300000000b8         # mov eax, 0; ret
    mov eax, r14d
    shl rax, 8
    or r13, rax
    LOOK stores
    .irp at, ONE+AT+16, TWO+AT+24, ONE+AT+32, ONE+AT+40
    call \at
    EQ64 rax, r14
    call \at
    EQ64 rax, r14
    .endr
    dec r14d
    jnz 1b

    # Across pages
    MAP E1, FRAME1
    mov qword ptr [E1+8], FRAME2+P_+RW
    invlpg [ONE+0x1000]
    mov rsi, 0x1122334455667788
    mov qword ptr [FRAME1+0xff8], 0
    mov r13, rsi
    .irp at, 0xff9-16, 0xffc-16, 0xfff-16
    mov r8d, ONE+\at
    LOOK stores, HOT
    EQ64 [ONE+\at+16], rsi
    EQ64 [ONE+\at+40], rsi
    .endr
    mov eax, [FRAME1+0xffc]
    mov esi, 0x88667788             # of the last two
    EQ64 rax, rsi
    mov rax, [FRAME2]
    mov rsi, 0x0011223344556677
    EQ64 rax, rsi
    PASS64

nowhere:
    mov r8, NOWHERE
    EXPECT64 1f
    LOOK loads
    FAIL64
1:  TRAPPED64 13, 0, loads
    mov r8, NOWHERE-16
    EXPECT64 1f
    LOOK stores
    FAIL64
1:  TRAPPED64 13, 0, store_one
    mov r8d, ONE+AT
    ret
loads:
    mov rax, [r8]
    mov rbx, [r9]
    mov rdx, [r8+8]
    add rdx, [r8]
    dec ecx
    jnz loads
    ret
stores:
    mov edi, ecx
store_one:
    mov [r8+16], r13
    cmp edi, ecx
store_two:
    mov [r9+24], r13
    mov rdi, r8
    mov [rdi+32], r13
    mov [rdi+40], r13
    dec ecx
    jnz stores
    ret
