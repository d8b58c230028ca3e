# IOPL: CLI, STI, IN and OUT at CPL 3 with and without it, and what POPF and IRET change at each privilege.
# expect: exit=0x10
.include "prot.inc"
main:
    # IOPL 0
    USER32 user_cli
    TRAPPED32 13, 0, user_cli
    USER32 user_sti
    TRAPPED32 13, 0, user_sti
    USER32 user_in
    TRAPPED32 13, 0, user_in        # the bitmap denies as well
    USER32 user_out
    TRAPPED32 13, 0, user_out
    USER32 user_ins
    TRAPPED32 13, 0, user_ins
    USER32 user_popf                # neither IF nor IOPL change, silently
    TRAPPED32 0x80, 0, user_popf_end
    EQ32 eax, 0x46
    USER32 user_popf_clear, 0x202
    EQ32 eax, 0x202
    # IOPL 3
    USER32 user_cli, 0x3202
    TRAPPED32 0x80, 0, user_cli_end
    EQ32 [TRAP_FLAGS], 0x3002
    USER32 user_sti, 0x3002
    EQ32 [TRAP_FLAGS], 0x3202
    USER32 user_in, 0x3002
    TRAPPED32 0x80, 0, user_in_end
    USER32 user_popf, 0x3002        # IF changes, IOPL does not
    EQ32 eax, 0x3246
    USER32 user_popf_clear, 0x3202
    EQ32 eax, 0x3002
    USER32 user_iret, 0x3002        # IRET at CPL 3 obeys the same rules
    EQ32 eax, 0x3246
    USER32 user_iret
    EQ32 eax, 0x46
    # CPL 0 changes everything.
    push 0x3246
    popfd
    pushfd
    pop eax
    EQ32 eax, 0x3246
    push 2
    popfd
    PASS32

.section .user, "ax"
user_cli:
    cli
    int 0x80
user_cli_end:
user_sti:
    sti
    nop
    int 0x80
user_in:
    in al, 0x80
    int 0x80
user_in_end:
user_out:
    out 0x80, al
user_ins:
    insb
user_popf:
    push 0x2246                     # IF, IOPL 2, ZF, PF
    popfd
    pushfd
    pop eax
    int 0x80
user_popf_end:
user_popf_clear:
    push 2
    popfd
    pushfd
    pop eax
    int 0x80
user_iret:
    push 0x2246
    push UCODE32
    push offset 1f
    iretd
1:  pushfd
    pop eax
    int 0x80
