# INVPCID: all four types, and its #GP, #UD and #PF.
# differs: qemu: its software CPU has no INVPCID
# expect: exit=0x10
.include "long.inc"
.set E1, PT_LOW+(DATA>>12)*8
.set DESC, RESULTS
.macro INVALIDATE type, pcid, address
    mov qword ptr [DESC], \pcid
    mov qword ptr [DESC+8], \address
    mov eax, \type
    invpcid rax, [DESC]
.endm
.macro MAP page, flags=0
    mov qword ptr [E1], DATA+\page*0x1000+P_+RW+\flags
.endm
main:
    mov dword ptr [DATA+0x1000], 0x11
    mov dword ptr [DATA+0x2000], 0x22
    mov rax, cr4
    bts rax, 7                      # PGE
    mov cr4, rax
    # Without PCIDE, with PCID 0
    MAP 1
    EQ64 [DATA], 0x11
    MAP 2
    INVALIDATE 0, 0, DATA+0x123
    EQ64 [DATA], 0x22
    MAP 1
    INVALIDATE 1, 0, 0
    EQ64 [DATA], 0x11
    MAP 2
    INVALIDATE 3, 0, 0
    EQ64 [DATA], 0x22
    MAP 1, G_
    INVALIDATE 2, 0, 0              # global ones as well
    EQ64 [DATA], 0x11
    mov qword ptr [DESC], 5
    mov eax, 0
    FAULT64 13, 0, invpcid rax, [DESC]  # PCIDs want PCIDE
    mov rax, cr4
    bts rax, 17
    mov cr4, rax
    mov rax, PML4+5
    mov cr3, rax
    INVALIDATE 2, 0, 0
    MAP 1
    EQ64 [DATA], 0x11
    mov rax, (1<<63)+PML4+6
    mov cr3, rax
    MAP 2
    INVALIDATE 0, 5, DATA           # another context's
    mov rax, (1<<63)+PML4+5
    mov cr3, rax
    EQ64 [DATA], 0x22
    mov rax, (1<<63)+PML4+6
    mov cr3, rax
    MAP 1
    INVALIDATE 1, 5, 0
    mov rax, (1<<63)+PML4+5
    mov cr3, rax
    EQ64 [DATA], 0x11
    # Refusals
    mov qword ptr [DESC], 0x1000    # reserved
    mov eax, 0
    FAULT64 13, 0, invpcid rax, [DESC]
    mov qword ptr [DESC], 0
    mov eax, 4
    FAULT64 13, 0, invpcid rax, [DESC]
    mov rbx, 0x800000000000
    mov [DESC+8], rbx
    mov eax, 0
    FAULT64 13, 0, invpcid rax, [DESC]  # not canonical
    mov eax, 1
    invpcid rax, [DESC]             # no matter for the other types
    PTE DATA+0x3000, 0
    FAULT64 14, 0, invpcid rax, [DATA+0x3000]
    USER64 user
    TRAPPED64 13, 0, user
    PASS64
.section .user, "ax"
user:
    invpcid rax, [USER_STACK-64]
