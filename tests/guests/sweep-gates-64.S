# Sweep: INT n in 64-bit mode through every type byte of a gate, to several code segments, with and without IST, at CPL 0
# and 3: trap and error code.
# differs: qemu: error codes count IDT entries by 16
# expect: exit=0x10 mem[0x600]=0x79ae483a mem[0x608]=28672
.include "long.inc"
.include "sweep.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x9e, 10          # conforming, 64-bit
    DESCRIPTOR 1, 0, 0xfffff, 0x1a, 10          # absent
    DESCRIPTOR 2, 0, 0xfffff, 0xba, 10          # DPL 1
    DESCRIPTOR 3, 0, 0xfffff, 0x9a, 12          # 32-bit
    DESCRIPTOR 4, 0, 0xfffff, 0x9a, 8           # 16-bit
    DESCRIPTOR 5, 0, 0xfffff, 0x9a, 14          # both L and D
    mov qword ptr [TSS+0x24], USER_STACK-0x800  # a page for every CPL
    mov qword ptr [TSS+12], IST_STACK-0x1000    # RSP1
    mov esi, offset selectors
1:  xor ebp, ebp
2:  mov edi, 2                      # IST: none, 1
3:  mov word ptr [IDT+0x60*16], offset handler
    mov ax, [rsi]
    mov [IDT+0x60*16+2], ax
    mov eax, ebp
    shl eax, 8
    mov [IDT+0x60*16+4], eax
    cmp edi, 1
    jne 4f
    inc byte ptr [IDT+0x60*16+4]
4:  FORGET
    EXPECT64 5f
    int 0x60
5:  mov esp, BOOT_STACK
    LAST_TRAP
    OUTCOME64
    mov eax, [TRAP_FRAME]
    OUTCOME64
    FORGET
    USER64 user, 0x202
    LAST_TRAP
    OUTCOME64
    mov eax, [TRAP_CS]
    OUTCOME64
    dec edi
    jnz 3b
    inc ebp
    cmp ebp, 256
    jne 2b
    add esi, 2
    cmp esi, offset selectors_end
    jne 1b
    PASS64
selectors: .word KCODE64, KCODE64+3, 0, 3, KDATA, FREE0, FREE1, FREE2, FREE3, FREE4, FREE5, UCODE64, 0x400, TSS_SEL
selectors_end:
.section .user, "ax"
handler:
    int 0x80
user:
    int 0x60
