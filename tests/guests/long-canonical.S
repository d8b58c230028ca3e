# Non-canonical addresses: #GP(0), through the stack's registers #SS(0), also for an access that only reaches there.
# differs: qemu: it raises #GP in place of #SS
# expect: exit=0x10
.include "long.inc"
main:
    mov rbx, 0x800000000000
    FAULT64 13, 0, mov eax, [rbx]
    FAULT64 13, 0, mov [rbx], eax
    FAULT64 13, 0, add byte ptr [rbx], 1
    mov rbx, 0xffff7fffffffffff
    FAULT64 13, 0, mov al, [rbx]
    FAULT64 13, 0, mov al, gs:[rbx]
    mov rbx, 0x800000000000
    lea rbx, [rbx-1]                # the last canonical byte: its page is absent
    FAULT64 14, 0, mov al, [rbx]
    mov rbp, 0x800000000000
    FAULT64 12, 0, mov eax, [rbp]
    FAULT64 12, 0, mov [rbp+8], eax
    FAULT64 12, 0, mov eax, [rbp+rax*1]
    FAULT64 12, 0, .byte 0x3e, 0x8b, 0x45, 0    # a DS prefix changes nothing
    mov rax, rbp
    FAULT64 13, 0, mov ecx, [rax]
    FAULT64 13, 0, .byte 0x36, 0x8b, 0x08       # nor does an SS prefix
    # A push and a pop on such a stack; the recorder gets another one from the IST.
    mov qword ptr [TSS+0x24], IST_STACK
    GATE64 12, vectors64+12*8, 0x8e, 1
    EXPECT64 1f
    lea rsp, [rbp+8]
push_there:
    push rax
    FAIL64
1:  TRAPPED64 12, 0, push_there
    lea rax, [rbp+8]
    EQ64 [TRAP_SP], rax
    EXPECT64 1f
    mov rsp, rbp
pop_there:
    pop rax
    FAIL64
1:  TRAPPED64 12, 0, pop_there
    EQ64 [TRAP_SP], rbp
    PASS64
