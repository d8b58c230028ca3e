# Sweep: far JMP, CALL and RETF in 64-bit mode to every access byte, RPL and combination of L and D, but those of TSSs:
# trap, error code, and where it went.
# differs: qemu: it takes code segments with both L and D
# expect: exit=0x10 mem[0x600]=0x16f954b2 mem[0x608]=21504
.include "long.inc"
.include "sweep.inc"
.macro TRY insn
    mov dword ptr [gdt_free], 0xffff
    mov [gdt_free+4], esi
    FORGET
    EXPECT64 .Lafter\@
    \insn fword ptr [RESULTS+0x10]
.Lafter\@:
    mov esp, BOOT_STACK
    LAST_TRAP
    OUTCOME64
    mov eax, [TRAP_CS]
    OUTCOME64
.endm
main:
    mov qword ptr [gdt_free+8], 0
    xor ebp, ebp
1:  test ebp, 0x10
    jnz 2f
    mov eax, ebp
    and eax, 5
    cmp eax, 1                      # TSSs, busy or not
    je 9f
2:  xor r8d, r8d                    # L and D
3:  mov esi, ebp
    shl esi, 8
    mov eax, r8d
    shl eax, 21
    or esi, eax
    or esi, 0x8f0000
    xor ebx, ebx
4:  lea eax, [rbx+FREE0]
    mov dword ptr [RESULTS+0x10], offset target
    mov [RESULTS+0x14], ax
    TRY jmp
    TRY call
    mov dword ptr [gdt_free], 0xffff
    mov [gdt_free+4], esi
    FORGET
    EXPECT64 5f
    push UDATA
    push USER_STACK
    lea eax, [rbx+FREE0]
    push rax
    push offset target
    retfq
5:  mov esp, BOOT_STACK
    LAST_TRAP
    OUTCOME64
    mov eax, [TRAP_CS]
    OUTCOME64
    inc ebx
    cmp ebx, 4
    jne 4b
    inc r8d
    cmp r8d, 4
    jne 3b
9:  inc ebp
    cmp ebp, 256
    jne 1b
    PASS64
.section .user, "ax"
target:
    int 0x80
