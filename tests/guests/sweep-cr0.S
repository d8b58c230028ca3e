# Sweep: every bit of CR0 turned over, in 32-bit protected mode and without paging: trap, or what reads back.
# differs: qemu: it takes combinations that do not exist
# expect: exit=0x10 mem[0x600]=0xd9b288df mem[0x608]=120
.include "prot.inc"
.include "sweep.inc"
main:
    mov esi, 2                      # with CD and NW set, and clear
1:  xor ebp, ebp
2:  cmp ebp, 0                      # PE and PG change the world
    je 9f
    cmp ebp, 31
    je 9f
    mov eax, cr0
    and eax, ~0x60000000
    cmp esi, 1
    je 3f
    or eax, 0x60000000
3:  mov cr0, eax
    mov ebx, eax
    btc ebx, ebp
    FORGET
    EXPECT32 4f
    mov cr0, ebx
4:  mov dword ptr [TRAP_RESUME], 0
    LAST_TRAP
    OUTCOME32
    mov eax, cr0
    OUTCOME32
    mov eax, 0x11
    mov cr0, eax
9:  inc ebp
    cmp ebp, 32
    jne 2b
    dec esi
    jnz 1b
    PASS32
