# REP MOVS with overlapping operands copies element by element, forwards and backwards, as if one after the other.
# expect: exit=0x10
.include "long.inc"
main:
    cld
    # A pattern that spreads: distance 1 with bytes
    mov byte ptr [DATA], 0x5a
    mov esi, DATA
    mov edi, DATA+1
    mov ecx, 0x1800
    rep movsb
    mov rbx, 0x5a5a5a5a5a5a5a5a
    EQ64 [DATA+0x17f8], rbx
    EQ64 [DATA+0xffc], rbx
    # distance 2 with quadwords: element by element
    mov rax, 0x0807060504030201
    mov [DATA], rax
    mov rax, 0x100f0e0d0c0b0a09
    mov [DATA+8], rax
    mov rax, 0x1817161514131211
    mov [DATA+16], rax
    mov esi, DATA
    mov edi, DATA+2
    mov ecx, 2
    rep movsq
    mov rbx, 0x0605040302010201
    EQ64 [DATA], rbx
    mov rbx, 0x0e0d0c0b08070807
    EQ64 [DATA+8], rbx
    mov rbx, 0x181716151413100f
    EQ64 [DATA+16], rbx
    # distance -1
    mov rax, 0x0807060504030201
    mov [DATA], rax
    mov esi, DATA+1
    mov edi, DATA
    mov ecx, 7
    rep movsb
    mov rbx, 0x0808070605040302
    EQ64 [DATA], rbx
    # backwards
    std
    mov [DATA], rax
    mov esi, DATA+7
    mov edi, DATA+6
    mov ecx, 7
    rep movsb
    cld
    mov rbx, 0x0808080808080808
    EQ64 [DATA], rbx
    PASS64
