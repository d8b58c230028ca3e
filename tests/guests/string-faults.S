# REP string instructions that fault in the middle: RCX, RSI and RDI tell how far they got, RIP is the instruction's
# own, and after the page is there they go on.
# expect: exit=0x10
.include "long.inc"
.set EDGE, DATA+0x1000
.macro STATE c, s, d
    EQ64 rcx, (\c)
    EQ64 rsi, (\s)
    EQ64 rdi, (\d)
.endm
.macro START c, s, d
    mov ecx, \c
    mov esi, \s
    mov edi, \d
.endm
main:
    cld
    PTE EDGE, 0
    START 16, PAGES, EDGE-8
    FAULT64 14, 2, rep movsb
    EQ64 [TRAP_CR2], EDGE
    STATE 8, PAGES+8, EDGE
    START 16, EDGE-8, PAGES
    FAULT64 14, 0, rep movsb
    STATE 8, EDGE, PAGES+8
    START 4, PAGES, EDGE-12         # the second element lies across
    FAULT64 14, 2, rep movsq
    EQ64 [TRAP_CR2], EDGE
    STATE 3, PAGES+8, EDGE-4
    mov al, 7
    START 100, 1, EDGE-3
    FAULT64 14, 2, rep stosb
    STATE 97, 1, EDGE
    EQ64 rax, 7
    START 100, EDGE-6, 1
    FAULT64 14, 0, rep lodsw
    STATE 97, EDGE, 1
    # SCAS and CMPS keep flags and counts of what they compared.
    mov qword ptr [EDGE-8], 0
    xor eax, eax
    START 100, 1, EDGE-8
    FAULT64 14, 0, repe scasb
    STATE 92, 1, EDGE
    START 100, EDGE-4, PAGES
    mov dword ptr [PAGES], 0
    FAULT64 14, 0, repe cmpsb
    STATE 96, EDGE, PAGES+4
    # Backwards
    std
    PTE DATA, 0
    PTE EDGE, EDGE+P_+RW
    START 10, PAGES+0x100, EDGE+2
    EXPECT64 1f
at: rep movsb
    FAIL64
1:  cld
    TRAPPED64 14, 2, at
    EQ64 [TRAP_CR2], EDGE-1
    STATE 7, PAGES+0x100-3, EDGE-1
    # Going on: the handler fills the page in and returns.
    PTE DATA, DATA+P_+RW
    PTE EDGE, 0
    GATE64 14, fill
    mov dword ptr [PAGES+4], 0x12345678
    START 8, PAGES, EDGE-4
    rep movsb
    STATE 0, PAGES+8, EDGE+4
    EQ64 [EDGE], 0x12345678
    PTE EDGE, 0
    mov eax, 0x55
    START 0x2000, 0, DATA
    rep stosb
    STATE 0, 0, DATA+0x2000
    # A count of zero touches nothing.
    PTE EDGE, 0
    GATE64 14, vectors64+14*8
    START 0, EDGE, EDGE
    rep movsb
    rep stosq
    repe cmpsb
    STATE 0, EDGE, EDGE
    PASS64
fill:
    push rax
    mov rax, cr2
    and eax, -4096
    cmp eax, EDGE
    jne 1f
    mov qword ptr [PT_LOW+(EDGE>>12)*8], EDGE+P_+RW
    pop rax
    add rsp, 8
    iretq
1:  FAIL64
