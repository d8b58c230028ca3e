# Locked instructions at CPL 3, hot: of a program that has to do with memory alone, where a sole processor's locks are
# seen by nobody, and of the same program once it has accessed a device. Aligned, across cache lines and pages; comparisons
# that find what they expect, and that don't.
# expect: exit=0x10
.include "long.inc"
.set TURNS, 5000
.set WORDS, 0x50000
.set LINE, 0x5043d                  # across cache lines
.set PAGE, 0x50ffd                  # across pages
.set BITS, 0x50800
main:
    mov qword ptr [WORDS], 0
    mov qword ptr [WORDS+8], 0
    mov qword ptr [WORDS+16], 0
    mov qword ptr [WORDS+24], 0
    mov qword ptr [WORDS+32], 0
    mov qword ptr [WORDS+40], 0
    mov qword ptr [LINE], 0
    mov qword ptr [PAGE], 0
    mov edi, BITS
    mov ecx, 0x80
    xor eax, eax
    rep stosq
    USER64 user, 0x3002             # IOPL 3
    TRAPPED64 0x80, 0, user_end
    EQ64 [WORDS], 10*TURNS
    EQ64 [WORDS+8], 2*TURNS
    EQ64 [WORDS+16], 2*TURNS*7%256
    EQ64 [WORDS+24], 1
    EQ64 [WORDS+32], 2*TURNS
    EQ64 [WORDS+40], -2*TURNS
    EQ64 [LINE], 2*TURNS
    EQ64 [PAGE], -4*TURNS
    EQ64 [BITS], 0                  # each bit twice
    EQ64 [BITS+TURNS/64*8], 0
    EQ64 r15, 2*TURNS
    PASS64

.section .user, "ax"
user:
    xor r15d, r15d
    call turns
    out 0x80, al
    call turns
    int 0x80
user_end:
bad:
    int 0x80

turns:
    mov ebp, TURNS
1:  mov eax, 3
    lock xadd [WORDS], rax
    lea r10, [rax+5]
    add rax, 3
    lock cmpxchg [WORDS], r10
    jne bad
    mov rax, -1
    lock cmpxchg [WORDS], rbp
    je bad
    cmp rax, r10
    jne bad
    # 32 bits: RAX's upper half stays, or becomes zero.
    mov rax, 0x1234567800000000
    mov ecx, [WORDS+8]
    or rax, rcx
    inc ecx
    lock cmpxchg [WORDS+8], ecx
    jne bad
    bt rax, 60
    jnc bad
    lock cmpxchg [WORDS+8], ebp
    je bad
    cmp rax, rcx
    jne bad
    lock add byte ptr [WORDS+16], 7
    mov ecx, ebp
    xchg [WORDS+24], rcx
    lea esi, [rbp-1]
    lock btc [BITS], rsi
    # A pair.
    mov rax, [WORDS+32]
    mov rdx, [WORDS+40]
    lea rbx, [rax+1]
    lea rcx, [rdx-1]
    lock cmpxchg16b [WORDS+32]
    jne bad
    lock inc dword ptr [LINE]
    mov eax, [LINE]
    lea ecx, [rax+0x10000]
    lock cmpxchg [LINE], ecx
    jne bad
    lock cmpxchg [LINE], ebp
    je bad
    cmp eax, ecx
    jne bad
    lock sub dword ptr [LINE], 0x10000
    mov rcx, -2
    lock xadd [PAGE], rcx
    mov rax, [PAGE]
    lock cmpxchg [PAGE], rax
    jne bad
    lock or dword ptr [rsp-8], 0
    inc r15d
    dec ebp
    jnz 1b
    ret
