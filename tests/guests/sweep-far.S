# Sweep: far JMP and CALL to every access byte and RPL but those of TSSs, at CPL 0 and 3: trap, error code, and where it
# went.
# differs: qemu: it does not always mark a code segment as accessed
# expect: exit=0x10 mem[0x600]=0x53a0e957 mem[0x608]=8960
.include "prot.inc"
.include "sweep.inc"
.macro TRY insn
    mov dword ptr [gdt_free], 0xffff
    mov [gdt_free+4], esi
    FORGET
    EXPECT32 .Lafter\@
    \insn fword ptr [RESULTS+0x10]
.Lafter\@:
    mov esp, BOOT_STACK
    LAST_TRAP
    OUTCOME32
    mov eax, [TRAP_CS]
    OUTCOME32
    movzx eax, byte ptr [gdt_free+5]
    OUTCOME32
.endm
.macro TRY_USER label
    mov dword ptr [gdt_free], 0xffff
    mov [gdt_free+4], esi
    FORGET
    USER32 \label
    LAST_TRAP
    OUTCOME32
    mov eax, [TRAP_CS]
    OUTCOME32
.endm
main:
    GATE32 0x60, vectors32+0x60*8, 0xee
    xor ebp, ebp
1:  test ebp, 0x10
    jnz 2f
    mov eax, ebp
    and eax, 5
    cmp eax, 1                      # TSSs, busy or not
    je 9f
2:  mov esi, ebp
    shl esi, 8
    or esi, 0xcf0000
    xor ebx, ebx
3:  lea eax, [ebx+FREE0]
    mov dword ptr [RESULTS+0x10], offset target
    mov [RESULTS+0x14], ax
    mov [USER_STACK-0x1c], ax
    mov dword ptr [USER_STACK-0x20], offset target
    TRY jmp
    TRY call
    TRY_USER user_jump
    TRY_USER user_call
    inc ebx
    cmp ebx, 4
    jne 3b
9:  inc ebp
    cmp ebp, 256
    jne 1b
    PASS32
.section .user, "ax"
target:
    int 0x60
user_jump:
    jmp fword ptr [USER_STACK-0x20]
user_call:
    call fword ptr [USER_STACK-0x20]
