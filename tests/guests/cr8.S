# CR8 is the task priority: bits 4 to 7 of the APIC's TPR, both ways; MOV from CR8 at CPL 3 is #GP.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
main:
    APIC_ENABLE
    mov eax, 5
    mov cr8, rax
    APIC_READ APIC_TPR
    EQ64 rax, 0x50
    APIC_WRITE APIC_TPR, 0xa3
    mov rax, cr8
    EQ64 rax, 0xa
    APIC_WRITE APIC_TPR, 0
    mov rax, cr8
    EQ64 rax, 0
    USER64 user
    TRAPPED64 13, 0, user
    PASS64
.section .user, "ax"
user:
    mov rax, cr8
