# Sweep: segment limits, granular by bytes and pages, expand-up and expand-down, 16- and 32-bit, against offsets and sizes
# around every edge, for data and for stack segments.
# expect: exit=0x10 mem[0x600]=0x1356e66d mem[0x608]=13750
# differs: qemu: it checks no segment limits
.include "prot.inc"
.include "sweep.inc"
.macro TRY segment, insn, size
    FORGET
    EXPECT32 .Lafter\@
    \insn \size ptr \segment:[ebx]
.Lafter\@:
    LAST_TRAP
    OUTCOME32
    fninit
.endm
.macro TRY_MOV segment, register
    FORGET
    EXPECT32 .Lafter\@
    mov \register, \segment:[ebx]
.Lafter\@:
    LAST_TRAP
    OUTCOME32
.endm
main:
    fninit
    mov edi, offset limits
1:  mov ebp, offset kinds
2:  mov eax, [edi]
    mov edx, eax
    and eax, 0xffff
    mov [gdt_free], eax             # base 0x400000
    mov eax, [ebp]
    and edx, 0xf0000
    or eax, edx
    or eax, 0x40
    mov [gdt_free+4], eax
    mov esi, offset offsets
3:  mov eax, [edi]
    test dword ptr [ebp], 0x800000
    jz 4f
    shl eax, 12
    or eax, 0xfff
4:  mov ebx, [esi]
    cmp esi, offset relative
    jae 5f
    add ebx, eax                    # around the limit
5:  mov eax, FREE0
    mov fs, eax
    TRY_MOV fs, al
    TRY_MOV fs, ax
    TRY_MOV fs, ecx
    TRY fs, fld, qword
    TRY fs, fld, tbyte
    add esi, 4
    cmp esi, offset offsets_end
    jne 3b
    add ebp, 4
    cmp ebp, offset kinds_end
    jne 2b
    add edi, 4
    cmp edi, offset limits_end
    jne 1b
    PASS32
.balign 4
limits: .long 0, 1, 7, 0xffe, 0xfff, 0x1000, 0xfffe, 0xffff, 0x10000, 0x12345, 0xffffe
limits_end:
# Access byte and flags
kinds: .long 0x009300, 0x409300, 0x809300, 0xc09300, 0x009700, 0x409700, 0x809700, 0xc09700, 0x409100, 0x409b00
kinds_end:
offsets: .long -10, -9, -8, -7, -4, -3, -2, -1, 0, 1, 2, 3
relative: .long 0, 1, 0xfffc, 0xfffd, 0xfffe, 0xffff, 0x10000, 0xfffffff0, 0xfffffff6, 0xfffffff7, 0xfffffffc, 0xfffffffd, 0xffffffff
offsets_end:
