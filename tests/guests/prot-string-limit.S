# REP string instructions that run into a segment's limit: the elements before it are done, the counts tell.
# differs: qemu: it checks no segment limits
# expect: exit=0x10
.include "prot.inc"
.set D, 0x100000
main:
    DESCRIPTOR 0, D, 0x1010, 0x92, 4            # bytes 0 to 0x1010
    mov eax, FREE0
    mov es, eax
    cld
    mov al, 0x5a
    mov edi, 0x1000
    mov ecx, 0x20
    EXPECT32 1f
at: rep stosb
    FAIL32
1:  TRAPPED32 13, 0, at
    EQ32 ecx, 0x20-0x11
    EQ32 edi, 0x1011
    EQ32 [D+0x100d], 0x5a5a5a5a
    movzx eax, byte ptr [D+0x1011]
    EQ32 eax, 0
    # The source
    mov eax, FREE0
    mov fs, eax
    mov esi, 0x100c
    mov edi, D+0x2000
    mov ecx, 4
    FAULT32 13, 0, rep movs dword ptr es:[edi], fs:[esi]
    EQ32 ecx, 3
    EQ32 esi, 0x1010
    EQ32 edi, D+0x2004
    # Downwards through zero: the offset wraps to the top, beyond the limit
    std
    mov eax, FREE0
    mov fs, eax
    mov esi, 3
    mov edi, D+0x2003
    mov ecx, 8
    EXPECT32 1f
at2:
    rep movs byte ptr es:[edi], fs:[esi]
    FAIL32
1:  cld
    TRAPPED32 13, 0, at2
    EQ32 ecx, 4
    EQ32 esi, -1
    PASS32
