# 64-bit gates: types, DPL, absent ones, selectors that are no 64-bit code, vectors beyond the limit, and non-canonical
# handlers.
# differs: qemu: error codes count IDT entries by 16
# expect: exit=0x10
.include "long.inc"
main:
    GATE64 0x60, handler
    GATE64 0x61, handler, 0x8f
    GATE64 0x62, handler, 0x0e
    GATE64 0x63, handler, 0x8e, 0, 0
    GATE64 0x64, handler, 0x8e, 0, KDATA
    GATE64 0x65, handler, 0x8e, 0, KCODE32      # not 64-bit code
    GATE64 0x66, handler, 0x8c                  # a call gate
    GATE64 0x67, handler, 0x86                  # a 16-bit gate has no place here
    GATE64 0x68, handler, 0x85                  # nor has a task gate
    GATE64 0x69, handler, 0x8e, 0, UCODE64-3    # less privileged than CPL 0
    GATE64 0x6a, handler, 0x8e, 0, 0x400
    GATE64 0x6b, handler
    mov dword ptr [IDT+0x6b*16+8], 0x00008000   # a non-canonical offset
    DESCRIPTOR 0, 0, 0xfffff, 0x1a, 10
    GATE64 0x6c, handler, 0x8e, 0, FREE0        # absent code
    sti
    int 0x60
    EQ64 rbx, 0
    EQ64 rcx, BOOT_STACK-40
    int 0x61
    EQ64 rbx, EFLAGS_IF
    cli
    FAULT64 11, 0x62*8+2, int 0x62
    FAULT64 13, 0, int 0x63
    FAULT64 13, KDATA, int 0x64
    FAULT64 13, KCODE32, int 0x65
    FAULT64 13, 0x66*8+2, int 0x66
    FAULT64 13, 0x67*8+2, int 0x67
    FAULT64 13, 0x68*8+2, int 0x68
    FAULT64 13, UCODE64-3, int 0x69
    FAULT64 13, 0x400, int 0x6a
    FAULT64 13, 0, int 0x6b
    FAULT64 11, FREE0, int 0x6c
    USER64 user
    TRAPPED64 13, 0x60*8+2, user
    mov word ptr [idt_pointer], 0x70*16-1
    lidt [idt_pointer]
    FAULT64 13, 0x70*8+2, int 0x70
    # INTO and BOUND do not exist.
    FAULT64 6, 0, .byte 0xce
    PASS64
handler:
    mov rcx, rsp
    pushfq
    pop rbx
    and ebx, EFLAGS_IF
    iretq
.section .user, "ax"
user:
    int 0x60
