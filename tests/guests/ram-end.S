# The end of RAM: the last bytes are memory, what follows reads as ones and forgets writes, also within one access.
# differs: qemu: memory where nothing is reads as zero
# expect: exit=0x10
.include "long.inc"
.set END, 0x1000000
main:
    mov dword ptr [PD_LOW+8*8], END+P_+RW+PS
    mov ebx, END
    mov dword ptr [rbx-4], 0x12345678
    mov eax, [rbx-4]
    EQ64 rax, 0x12345678
    mov rax, [rbx]
    EQ64 rax, -1
    mov rax, [rbx-4]
    mov rcx, 0xffffffff12345678
    EQ64 rax, rcx
    mov rcx, 0x1122334455667788
    mov [rbx-4], rcx
    mov eax, [rbx-4]
    EQ64 rax, 0x55667788
    mov eax, [rbx]
    mov ecx, 0xffffffff
    EQ64 rax, rcx
    lock add qword ptr [rbx-8], 1
    PASS64
