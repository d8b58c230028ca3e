# IRET: same privilege, outward to CPL 3 with data segments that are cleared, and its refusals.
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0xfa, 12
    push 0x3cd7                     # IOPL 3, OF DF and the arithmetic flags
    push KCODE32
    push offset 1f
    iretd
1:  pushfd
    cld
    pop eax
    EQ32 eax, 0x3cd7
    # 16-bit operand size pops words: the upper half of EFLAGS stays.
    push 0x40002
    popfd
    pushw 0x46
    pushw KCODE32
    pushw offset 1f
    iretw
1:  pushfd
    pop eax
    EQ32 eax, 0x40046
    mov eax, KDATA
    mov fs, eax
    mov eax, UDATA
    mov gs, eax
    USER32 user, 0x3202             # IOPL 3 and IF
    TRAPPED32 0x80, 0, user_end
    EQ32 ebx, UDATA
    EQ32 ecx, 0
    EQ32 edx, UDATA
    EQ32 esi, 0x3202
    EQ32 [TRAP_FLAGS], 0x3202
    pushfd
    pop eax
    EQ32 eax, 2
.macro REFUSED vector, error, code, data
    push \data
    push USER_STACK
    push 2
    push \code
    push offset user
    FAULT32 \vector, \error, iretd
    EQ32 [TRAP_CS], KCODE32
    mov eax, esp
    EQ32 eax, BOOT_STACK-20
    mov esp, BOOT_STACK
.endm
    REFUSED 13, 0, UCODE32, 0
    REFUSED 13, KDATA, UCODE32, KDATA
    REFUSED 13, 0x20, UCODE32, 0x20             # RPL of SS is not that of CS
    REFUSED 13, 0x38, KCODE32+3, UDATA          # DPL is not RPL
    REFUSED 13, 0x18, UCODE32-3, UDATA          # RPL 0, DPL 3
    REFUSED 13, 0x20, UDATA, UDATA
    REFUSED 13, 0, 0, UDATA
    mov byte ptr [gdt_free+5], 0x7a             # not present
    REFUSED 11, FREE0, FREE0+3, UDATA
    PASS32

.section .user, "ax"
user:
    mov ebx, ds
    mov ecx, fs
    mov edx, gs
    pushfd
    pop esi
    int 0x80
user_end:
