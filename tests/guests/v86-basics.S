# Virtual-8086 mode: entry by IRET, real-mode addressing, and what is pushed when it is left.
# expect: exit=0x10
.include "prot.inc"
.include "v86.inc"
main:
    V86 code, 0x1234, 0x2345, 0x3456, 0x4567
    EQ32 eax, 0x99
    TRAPPED32 13, 0, code_int-0x8000
    EQ32 [TRAP_CS], 0x800
    EQ32 [TRAP_SS], 0x5000
    EQ32 [TRAP_SP], 0xfffc
    mov eax, [TRAP_FLAGS]
    and eax, EFLAGS_VM
    EQ32 eax, EFLAGS_VM
    EQ32 [TRAP_FRAME], TSS_STACK-36
    EQ32 [TSS_STACK-16], 0x2346     # ES
    EQ32 [TSS_STACK-12], 0x2345
    EQ32 [TSS_STACK-8], 0x3456
    EQ32 [TSS_STACK-4], 0x4567
    EQ32 [0x5fffc], 0x5678abcd
    EQ32 ebx, 0x800
    # FS and GS are null in the handler; DS and ES were, until the recorder loaded them.
    mov ecx, fs
    EQ32 ecx, 0
    mov ecx, gs
    EQ32 ecx, 0
    PASS32
.code16
code:
    push 0x5678
    push 0xabcd
    mov byte ptr ds:[0x10], 0x99    # 0x23460
    xor eax, eax
    mov ax, 0x2346
    mov es, ax
    mov al, es:[0]
    xor ah, ah
    mov bx, cs
code_int:
    int 0x60                        # IOPL 0: #GP
.code32
