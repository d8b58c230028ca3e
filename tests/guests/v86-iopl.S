# IOPL in virtual-8086 mode: CLI, STI, PUSHF, POPF, INT n and IRET fault below 3; IN and OUT ask the bitmap alone.
# expect: exit=0x10
.include "prot.inc"
.include "v86.inc"
.set V86_IOPL3, EFLAGS_VM+0x3002
main:
    V86 c_cli
    V86_TRAPPED 13, 0, c_cli
    V86 c_sti
    V86_TRAPPED 13, 0, c_sti
    V86 c_pushf
    V86_TRAPPED 13, 0, c_pushf
    V86 c_popf
    V86_TRAPPED 13, 0, c_popf_at
    V86 c_iret
    V86_TRAPPED 13, 0, c_iret_at
    V86 c_int
    V86_TRAPPED 13, 0, c_int
    V86 c_int3                      # not sensitive: by the IDT
    V86_TRAPPED 3, 0, c_int3_end
    # IOPL 3
    V86 c_cli, flags=V86_IOPL3+EFLAGS_IF
    V86_TRAPPED 13, 0, c_cli_end    # the HLT
    mov eax, [TRAP_FLAGS]
    and eax, ~EFLAGS_RF
    EQ32 eax, V86_IOPL3
    V86 c_popf, flags=V86_IOPL3
    V86_TRAPPED 13, 0, c_popf_end
    mov eax, [TRAP_FLAGS]
    and eax, ~EFLAGS_RF
    EQ32 eax, V86_IOPL3+0x44        # neither VM nor IOPL were changed
    V86 c_pushf, flags=V86_IOPL3
    movzx eax, ax
    EQ32 eax, 0x3002
    V86 c_int, flags=V86_IOPL3
    V86_TRAPPED 0x80, 0, c_int_end
    V86 c_iret, flags=V86_IOPL3
    V86_TRAPPED 13, 0, c_iret_target
    mov eax, [TRAP_FLAGS]
    and eax, ~EFLAGS_RF
    EQ32 eax, V86_IOPL3+0x44
    # I/O
    V86 c_in, flags=V86_IOPL3
    V86_TRAPPED 13, 0, c_in
    and byte ptr [TSS+0x68+0x80/8], 0xfe
    V86 c_in
    V86_TRAPPED 13, 0, c_in_end
    PASS32
.code16
c_cli:
    cli
c_cli_end:
    hlt
c_sti:
    sti
    hlt
c_pushf:
    pushf
    pop ax
    hlt
c_popf:
    push 0x0046                     # IOPL 0, ZF, PF
c_popf_at:
    popf
c_popf_end:
    hlt
c_int:
    int 0x80
c_int_end:
c_int3:
    int3
c_int3_end:
c_iret:
    push 0x0046
    push 0x800
    push offset c_iret_target - 0x8000
c_iret_at:
    iretw
c_iret_target:
    hlt
c_in:
    in al, 0x80
c_in_end:
    hlt
.code32
