# 32-bit call gates: same privilege, inward with copied parameters, back out by RETF n, and all refusals.
# expect: exit=0x10
.include "prot.inc"
.macro CALL_GATE n, target, selector, access, count=0
    mov word ptr [gdt_free+\n*8], offset \target
    mov word ptr [gdt_free+\n*8+2], \selector
    mov dword ptr [gdt_free+\n*8+4], \count + (\access << 8)
.endm
main:
    DESCRIPTOR 8, 0, 0xfffff, 0xfa, 12          # DPL 3 code
    DESCRIPTOR 9, 0, 0xfffff, 0x1a, 12          # absent code
    CALL_GATE 0, inner, KCODE32, 0xec, 3
    CALL_GATE 1, same, KCODE32, 0x8c, 3
    CALL_GATE 2, same, KCODE32, 0x6c            # absent
    CALL_GATE 3, same, 0, 0xec
    CALL_GATE 4, same, KDATA, 0xec
    CALL_GATE 5, same, FREE8, 0x8c              # less privileged than CPL 0
    CALL_GATE 6, same, FREE9, 0xec
    CALL_GATE 7, same, 0x400, 0xec
    # Same privilege: no copy, the offset in the instruction is ignored.
    push 0x77
    call FREE1:0x12345678
after_same:
    EQ32 eax, "offset after_same"
    EQ32 ebx, KCODE32
    EQ32 ecx, 0x77
    EQ32 edx, BOOT_STACK-12
    jmp FREE1:0                                 # a jump through the gate
after:
    pop eax
    # From CPL 3: three doublewords are copied.
    USER32 user
    TRAPPED32 0x80, 0, user_end
    EQ32 [RESULTS], "offset after_call"
    EQ32 [RESULTS+4], UCODE32
    EQ32 [RESULTS+8], 0x333
    EQ32 [RESULTS+12], 0x222
    EQ32 [RESULTS+16], 0x111
    EQ32 [RESULTS+20], USER_STACK-12
    EQ32 [RESULTS+24], UDATA
    EQ32 [RESULTS+28], TSS_STACK-28
    EQ32 [RESULTS+32], KCODE32
    EQ32 [TRAP_SP], USER_STACK                  # RETF 12 dropped the parameters there
    EQ32 [TRAP_CS], UCODE32
    # Refusals
    FAULT32 11, FREE2, call FREE2:0
    FAULT32 13, 0, call FREE3:0
    FAULT32 13, KDATA, call FREE4:0
    FAULT32 13, FREE8, call FREE5:0
    FAULT32 11, FREE9, call FREE6:0
    FAULT32 13, 0x400, call FREE7:0
    USER32 user_closed
    TRAPPED32 13, FREE1, user_closed
    USER32 user_jump                            # a jump can't change the privilege
    TRAPPED32 13, KCODE32, user_jump
    PASS32
same:
    cmp dword ptr [esp], 0x77
    je after
    mov eax, [esp]
    mov ebx, [esp+4]
    mov ecx, [esp+8]
    mov edx, esp
    retf
inner:
    mov eax, KDATA
    mov ds, eax
    mov es, eax
    mov esi, esp
    mov edi, RESULTS
    mov ecx, 7
    cld
    rep movsd
    mov [RESULTS+28], esp
    mov [RESULTS+32], cs
    retf 12

.section .user, "ax"
user:
    push 0x111
    push 0x222
    push 0x333
    call FREE0:0
after_call:
    int 0x80
user_end:
user_closed:
    call FREE1:0
user_jump:
    jmp FREE0:0
