# Self-modifying code: an instruction in the same page, the next instruction, one behind a jump, and one behind a call;
# each change counts at once.
# expect: exit=0x10
.include "long.inc"
main:
    # patched before it runs for the second time
    xor ebx, ebx
1:  mov eax, 1
    add ebx, eax
    inc byte ptr [1b+1]
    cmp byte ptr [1b+1], 5
    jne 1b
    EQ64 rbx, 1+2+3+4
    # The very next instruction
    mov byte ptr [2f+1], 0x77
2:  mov eax, 0
    EQ64 rax, 0x77
    # after a jump
    mov dword ptr [3f+1], 0x12345678
    jmp 3f
    nop
3:  mov eax, 0
    EQ64 rax, 0x12345678
    # ten times around, the next instruction each time
    mov ecx, 10
    xor ebx, ebx
4:  mov [5f+2], cl
5:  add ebx, 0x11
    dec ecx
    jnz 4b
    EQ64 rbx, 55
    # REP STOSB over the code right behind it
    mov edi, offset 6f
    mov ecx, 6
    mov al, 0x90
    rep stosb
6:  ud2
    ud2
    ud2
    # A patched branch
    mov byte ptr [7f], 0x74         # JE in place of JNE
    cmp eax, eax
7:  jne 8f
    FAIL64
8:  # A conditional branch that becomes two NOPs
    mov word ptr [9f], 0x9090
9:  jmp 0f
    PASS64
0:  FAIL64
