# Interrupts between privileges: conforming handlers keep the CPL, handlers below the CPL are refused, the new stack
# comes from the TSS, and a bad one is #TS.
# differs: qemu: an absent stack is #TS in place of #SS
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x9e, 12          # conforming, DPL 0
    DESCRIPTOR 1, 0, 0xfffff, 0xba, 12          # DPL 1 code
    DESCRIPTOR 2, 0, 0xfffff, 0xb2, 12          # DPL 1 data
    DESCRIPTOR 3, 0, 0xfffff, 0x12, 12          # absent data
    GATE32 0x60, conforming, 0xee, FREE0
    USER32 user
    TRAPPED32 0x80, 0, user_end
    EQ32 ebx, FREE0+3
    EQ32 ecx, USER_STACK-12                     # no change of the stack
    # DPL 1: ESP1 and SS1
    .set SS1, FREE2+1
    GATE32 0x60, ring1, 0xee, FREE1
    mov dword ptr [TSS+12], USER_STACK-0x100
    mov dword ptr [TSS+16], SS1
    USER32 user
    TRAPPED32 0x80, 0, user_end
    EQ32 ebx, FREE1+1
    EQ32 edx, SS1
    EQ32 ecx, USER_STACK-0x100-20
    # From CPL 0 to DPL 1 is refused.
    FAULT32 13, FREE1, int 0x60
    # Bad SS1: null, RPL wrong, DPL wrong, absent, beyond the table
    mov dword ptr [TSS+16], 0
    USER32 user
    TRAPPED32 10, 0, user
    mov dword ptr [TSS+16], FREE2
    USER32 user
    TRAPPED32 10, FREE2, user
    mov dword ptr [TSS+16], KDATA+1
    USER32 user
    TRAPPED32 10, KDATA, user
    mov dword ptr [TSS+16], FREE3+1
    mov byte ptr [gdt_free+3*8+5], 0x32
    USER32 user
    TRAPPED32 12, FREE3, user
    mov dword ptr [TSS+16], 0x401
    USER32 user
    TRAPPED32 10, 0x400, user
    # The TSS is too short to hold SS1.
    mov dword ptr [TSS+16], SS1
    mov word ptr [gdt+TSS_SEL], 17
    mov byte ptr [gdt+TSS_SEL+5], 0x89
    mov eax, TSS_SEL
    ltr ax
    USER32 user
    TRAPPED32 10, TSS_SEL, user
    PASS32

.section .user, "ax"
user:
    int 0x60
    int 0x80
user_end:
conforming:
ring1:
    mov ebx, cs
    mov edx, ss
    mov ecx, esp
    iretd
