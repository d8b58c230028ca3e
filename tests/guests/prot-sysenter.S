# SYSENTER and SYSEXIT in protected mode: selectors from one MSR, flat segments, IF and VM cleared, and #GP for a
# null selector or from CPL 3.
# expect: exit=0x10
.include "prot.inc"
.macro MSR number, value
    mov ecx, \number
    mov eax, \value
    xor edx, edx
    wrmsr
.endm
main:
    # The four descriptors lie in a row.
    DESCRIPTOR 4, 0, 0xfffff, 0x9b, 12
    DESCRIPTOR 5, 0, 0xfffff, 0x93, 12
    DESCRIPTOR 6, 0, 0xfffff, 0xfb, 12
    DESCRIPTOR 7, 0, 0xfffff, 0xf3, 12
    FAULT32 13, 0, sysenter         # the MSR is zero
    FAULT32 13, 0, sysexit
    MSR 0x174, FREE4
    MSR 0x175, BOOT_STACK-64
    MSR 0x176, "offset entry"
    mov ecx, USER_STACK
    mov edx, offset user
    sti
    sysexit
entry:
    mov edi, esp
    pushfd
    pop eax
    mov esi, cs
    mov ebp, ss
    EQ32 edi, BOOT_STACK-64
    EQ32 eax, 0x46
    EQ32 esi, FREE4
    EQ32 ebp, FREE5
    EQ32 ebx, 0x1111
    movzx eax, word ptr [USER_STACK-4]
    EQ32 eax, FREE6+3
    movzx eax, word ptr [USER_STACK-8]
    EQ32 eax, FREE7+3
    EQ32 [USER_STACK-12], 0x246
    # SYSEXIT from CPL 3
    USER32 user_sysexit
    TRAPPED32 13, 0, user_sysexit
    PASS32

.section .user, "ax"
user:
    mov ebx, 0x1111
    push cs
    push ss
    cmp ebx, ebx
    pushfd
    sysenter
user_sysexit:
    sysexit
