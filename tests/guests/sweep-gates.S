# Sweep: INT n through every type byte of a gate, to several code segments, at CPL 0 and 3: trap, error code, or the
# handler's flags and stack.
# differs: qemu: error codes of bad gate types count IDT entries by 16
# expect: exit=0x10 mem[0x600]=0x5bde9c72 mem[0x608]=7168
.include "prot.inc"
.include "sweep.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x9e, 12          # conforming
    DESCRIPTOR 1, 0, 0xfffff, 0x1a, 12          # absent
    DESCRIPTOR 2, 0, 0xfffff, 0xba, 12          # DPL 1
    DESCRIPTOR 3, 0, 0xfffff, 0xb2, 12
    DESCRIPTOR 4, 0, 0xfffff, 0x98, 12          # execute-only
    mov dword ptr [TSS+12], IST_STACK
    mov dword ptr [TSS+16], FREE3+1
    mov esi, offset selectors
1:  xor ebp, ebp
2:  mov word ptr [IDT+0x60*8], offset handler
    mov ax, [esi]
    mov [IDT+0x60*8+2], ax
    mov eax, ebp
    shl eax, 8
    mov [IDT+0x60*8+4], eax
    FORGET
    EXPECT32 3f
    sti
    int 0x60
3:  cli
    mov esp, BOOT_STACK
    LAST_TRAP
    OUTCOME32
    FORGET
    USER32 user, 0x202
    LAST_TRAP
    OUTCOME32
    inc ebp
    cmp ebp, 256
    jne 2b
    add esi, 2
    cmp esi, offset selectors_end
    jne 1b
    PASS32
selectors: .word KCODE32, KCODE32+3, 0, 3, KDATA, FREE0, FREE1, FREE2, FREE2+1, FREE4, UCODE32, 0x400, TSS_SEL, FREE0+4
selectors_end:
.balign 4
.section .user, "ax"
handler:
    xor edx, edx
    mov dx, cs
    mov ebx, esp
    pushfd
    pop ecx
    int 0x80
user:
    int 0x60
