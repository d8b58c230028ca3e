# Sweep: IRET and RETF to every access byte and RPL of the code segment, with several stack segments: trap and error
# code, and whether the target ran.
# expect: exit=0x10 mem[0x600]=0xc386a1a5 mem[0x608]=36864
.include "prot.inc"
.include "sweep.inc"
main:
    DESCRIPTOR 1, 0, 0xfffff, 0xf2, 12
    DESCRIPTOR 2, 0, 0xfffff, 0xb2, 12          # DPL 1
    DESCRIPTOR 3, 0, 0xfffff, 0xd2, 12          # DPL 2
    mov dword ptr [TSS+12], IST_STACK
    mov dword ptr [TSS+16], FREE2+1
    mov dword ptr [TSS+20], IST_STACK-0x1000
    mov dword ptr [TSS+24], FREE3+2
    xor ebp, ebp
1:  xor ebx, ebx
2:  mov esi, offset stacks
3:  mov edi, 2                      # IRET, RETF
4:  mov dword ptr [gdt_free], 0xffff
    mov eax, ebp
    shl eax, 8
    or eax, 0xcf0000
    mov [gdt_free+4], eax
    FORGET
    EXPECT32 5f
    movzx eax, word ptr [esi]
    push eax
    push USER_STACK
    cmp edi, 2
    jne 6f
    push 2
6:  lea eax, [ebx+FREE0]
    push eax
    push offset target
    cmp edi, 2
    jne 7f
    iretd
7:  retf
5:  mov dword ptr [TRAP_RESUME], 0
    mov esp, BOOT_STACK
    LAST_TRAP
    OUTCOME32
    mov eax, [TRAP_CS]
    OUTCOME32
    dec edi
    jnz 4b
    add esi, 2
    cmp esi, offset stacks_end
    jne 3b
    inc ebx
    cmp ebx, 4
    jne 2b
    inc ebp
    cmp ebp, 256
    jne 1b
    PASS32
stacks:
    .word KDATA, UDATA, FREE1+3, FREE2+1, FREE3+2, 0, 3, KCODE32, FREE2+3
stacks_end:
.balign 4
.section .user, "ax"
target:
    int 0x80
