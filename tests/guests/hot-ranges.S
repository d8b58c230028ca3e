# Hot code whose accesses go to any of six pages that lie side by side in linear space, and scattered in memory: some across
# pages, some step by step. The pages are mapped to other frames, by INVLPG and by a load of CR3, and lose the right to be
# written. Each page's bytes are all the same, so that what an access should find is known by another table.
# expect: exit=0x10
.include "long.inc"
.set PAGES, 6
.set BYTES, PAGES*0x1000
.set ARRAY, DATA+0x2000             # linear
.set FRAMES, DATA+0x20000           # twice as many
.set TABLE, DATA+0x10000            # what is in each byte of a page, eight times
.set ENTRIES, PT_LOW+((ARRAY)>>12)*8
.set HOT, 60
.set TIMES, 8
.set TURNS, 7000
.set ROUNDS, 20

# Maps a page to a frame, which has some byte everywhere.
.macro SHOW page, frame, byte
    mov rax, 0x0101010101010101*\byte
    mov [r9+\page*8], rax
    mov edi, FRAMES+\frame*0x1000
    mov ecx, 512
    rep stosq
    mov qword ptr [ENTRIES+\page*8], FRAMES+\frame*0x1000+P_+RW
.endm
.macro FLUSH page
    invlpg [ARRAY+\page*0x1000]
.endm
# All bytes of a frame
.macro HAS frame, byte
    mov rax, 0x0101010101010101*\byte
    mov edi, FRAMES+\frame*0x1000
    mov ecx, 512
    repe scasq
    je 9f
    FAIL64
9:
.endm
.macro LOOK
    call wander
    EQ64 rax, 0
    call across
    EQ64 rax, 0
    mov r13d, ROUNDS
8:  call steps
    EQ64 rax, 0
    dec r13d
    jnz 8b
.endm
main:
    mov rax, cr0
    or eax, 0x10000                 # WP
    mov cr0, rax
    mov r8d, ARRAY
    mov r9d, TABLE
    xor r15d, r15d
    SHOW 0, 3, 0x10
    SHOW 1, 9, 0x11
    SHOW 2, 1, 0x12
    SHOW 3, 2, 0x13
    SHOW 4, 7, 0x14
    SHOW 5, 5, 0x15
    mov rax, cr3
    mov cr3, rax
    mov r14d, HOT
1:  LOOK
    dec r14d
    jnz 1b

    mov r14d, TIMES
1:  SHOW 2, 8, 0x22
    FLUSH 2
    LOOK
    SHOW 0, 4, 0x20
    SHOW 5, 6, 0x25
    mov rax, cr3
    mov cr3, rax
    LOOK
    HAS 1, 0x12                     # nobody writes there any more
    HAS 3, 0x10
    SHOW 2, 1, 0x12
    FLUSH 2
    LOOK
    SHOW 0, 3, 0x10
    FLUSH 0
    SHOW 5, 5, 0x15
    FLUSH 5
    LOOK
    HAS 8, 0x22
    HAS 6, 0x25
    # Not to be written: loads go on.
    and qword ptr [ENTRIES+3*8], ~RW
    FLUSH 3
    call wander
    EQ64 rax, 0
    EXPECT64 2f
    call across
    FAIL64
2:  TRAPPED64 14, 3, across_store
    EQ64 [TRAP_CR2], ARRAY+0x3000
    EXPECT64 2f
    call steps
    FAIL64
2:  TRAPPED64 14, 3, steps_store
    EQ64 [TRAP_CR2], ARRAY+0x3000
    or qword ptr [ENTRIES+3*8], RW
    FLUSH 3
    LOOK
    HAS 2, 0x13
    # Not there
    and qword ptr [ENTRIES+4*8], ~P_
    FLUSH 4
    EXPECT64 2f
    call steps
    FAIL64
2:  TRAPPED64 14, 0, steps_load
    EQ64 [TRAP_CR2], ARRAY+0x4000
    or qword ptr [ENTRIES+4*8], P_
    LOOK
    dec r14d
    jnz 1b
    PASS64

# Loads words from anywhere: RAX is zero if they are what they should be.
wander:
    xor eax, eax
    mov r10d, TURNS
1:  add r15d, 0xb37
    lea edx, [r15-(BYTES-7)]
    cmp r15d, BYTES-7
    cmovae r15d, edx
    mov rbx, [r8+r15]
    call word_at
    xor rbx, rdi
    or rax, rbx
    dec r10d
    jnz 1b
    ret
# What a word at R15 in the array should be: RDI. Changes RSI, RCX and R11.
word_at:
    mov esi, r15d
    shr esi, 12
    mov rdi, [r9+rsi*8]
    mov r11, [r9+rsi*8+8]
    mov ecx, r15d
    and ecx, 0xfff
    sub ecx, 0xff8
    jbe 2f
    shl ecx, 3
    shrd rdi, r11, cl
2:  ret
# Stores words that lie in two pages, as they should be, and reads them.
across:
    xor eax, eax
    mov r10d, TURNS
    mov r12d, 0xff9
    mov r15d, r12d
1:  call word_at
across_store:
    mov [r8+r15], rdi
    xor rdi, [r8+r15]
    or rax, rdi
    add r15d, 0x1001
    cmp r15d, BYTES-8
    jb 3f
    inc r12d
    cmp r12d, 0x1000
    jne 2f
    mov r12d, 0xff9
2:  mov r15d, r12d
3:  dec r10d
    jnz 1b
    ret
# Loads and stores all words in order.
steps:
    xor eax, eax
    xor r15d, r15d
steps_load:
    mov rbx, [r8+r15]
steps_store:
    mov [r8+r15], rbx
    xor rbx, 0
    add rax, rbx
    add r15, 8
    cmp r15d, BYTES
    jne steps_load
    # What that should come to
    mov ecx, PAGES-1
2:  imul rdx, [r9+rcx*8], 512
    sub rax, rdx
    dec ecx
    jns 2b
    ret
