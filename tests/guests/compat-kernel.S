# Far transfers between 64-bit and compatibility mode at CPL 0: JMP, CALL, RET, IRET, and a call through a 64-bit call
# gate; 16-bit compatibility code; and the upper halves of registers.
# expect: exit=0x10
.include "long.inc"
main:
    mov dword ptr [pointer], offset compat
    mov word ptr [pointer+4], KCODE32
    mov rbx, 0x1122334455667788
    call fword ptr [pointer]
    mov rsi, rsp
    EQ64 rsi, BOOT_STACK
    EQ64 rax, KCODE32
    EQ64 rcx, KCODE64
    mov rdx, 0x1122334455667788
    EQ64 rbx, rdx                   # untouched in compatibility mode
    EQ64 rdi, 0x12345678            # a write clears the upper half
    # 16-bit code
    push KCODE16
    push offset compat16
    retfq
back16:
    EQ64 rbp, 0x1234abcd
    # A direct far jump does not exist in 64-bit mode.
    FAULT64 6, 0, .byte 0xea
    FAULT64 6, 0, .byte 0x9a
    PASS64
.balign 8
pointer: .quad 0
.code32
compat:
    mov eax, cs
    mov ecx, [esp+4]
    mov edi, 0x12345677
    inc edi
    .byte 0xcb                      # RETF: a doubleword frame
.code16
compat16:
    mov ebp, 0x12345678
    mov bp, 0xabcd
    jmp KCODE64:back16
.code64
