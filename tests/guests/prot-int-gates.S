# INT n through interrupt and trap gates, 32- and 16-bit: IF, the width of the frame, and gates that refuse.
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x92, 12
    GATE32 0x60, handler                        # interrupt gate: clears IF
    GATE32 0x61, handler, 0x8f                  # trap gate: keeps IF
    GATE32 0x62, handler16, 0x86, KCODE16       # 16-bit interrupt gate to 16-bit code
    GATE32 0x63, handler, 0x0e                  # not present
    GATE32 0x64, handler, 0x8e, 0               # null selector
    GATE32 0x65, handler, 0x8e, FREE0           # data
    GATE32 0x66, handler, 0x8c                  # a call gate is no interrupt gate
    GATE32 0x67, handler, 0x8e, 0x400           # beyond the GDT
    sti
    int 0x60
    EQ32 ebx, 0
    EQ32 ecx, BOOT_STACK-12
    int 0x61
    EQ32 ebx, EFLAGS_IF
    int 0x62
    pushfd
    cli
    EQ32 ebx, 0
    EQ32 ecx, BOOT_STACK-6
    pop eax
    and eax, EFLAGS_IF
    EQ32 eax, EFLAGS_IF
    # Error codes: vector * 8 + IDT bit, or the selector in the gate. EXT is clear for INT n.
    FAULT32 11, 0x63*8+2, int 0x63
    FAULT32 13, 0, int 0x64
    FAULT32 13, FREE0, int 0x65
    FAULT32 13, 0x66*8+2, int 0x66
    FAULT32 13, 0x400, int 0x67
    # DPL: closed to CPL 3
    USER32 user
    TRAPPED32 13, 0x60*8+2, user
    USER32 user_int1
    TRAPPED32 13, 1*8+2, user_int1
    # INT3 looks at the DPL as well.
    and byte ptr [IDT+3*8+5], 0x9f
    USER32 user_int3
    TRAPPED32 13, 3*8+2, user_int3
    # A vector beyond the IDT's limit
    mov word ptr [idt_pointer], 0x70*8-1
    lidt [idt_pointer]
    FAULT32 13, 0x70*8+2, int 0x70
    PASS32
handler:
    mov ecx, esp
    pushfd
    pop ebx
    and ebx, EFLAGS_IF
    iretd
.code16
handler16:
    mov ecx, esp
    pushfd
    pop ebx
    and ebx, EFLAGS_IF
    iretw

.code32
.section .user, "ax"
user:
    int 0x60
user_int1:
    int 1
user_int3:
    int3
