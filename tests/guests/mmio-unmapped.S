# Addresses and ports where nothing is: reads give ones, writes go nowhere, of every size and across pages.
# differs: qemu: memory where nothing is reads as zero
# expect: exit=0x10
.include "long.inc"
.set HOLE, 0xd0000000
main:
    # Map 1 GiB at 3 GiB as it is, but for the last 2 MiB pages, which are there already.
    mov dword ptr [PD_HIGH+0x80*8], HOLE+P_+RW+PS+PCD
    mov dword ptr [PD_HIGH+0x81*8], HOLE+0x200000+P_+RW+PS+PCD
    mov ebx, HOLE
    mov rax, [rbx]
    EQ64 rax, -1
    mov eax, [rbx+4]
    mov ecx, 0xffffffff
    EQ64 rax, rcx
    movzx eax, word ptr [rbx+6]
    EQ64 rax, 0xffff
    movzx eax, byte ptr [rbx+7]
    EQ64 rax, 0xff
    mov rax, [rbx+0xffc]
    EQ64 rax, -1
    mov qword ptr [rbx], 0
    mov dword ptr [rbx+0xffe], 0
    mov rax, [rbx]
    EQ64 rax, -1
    lock add dword ptr [rbx], 1
    cld
    mov esi, ebx
    mov edi, RESULTS
    mov ecx, 4
    rep movsd
    EQ64 [RESULTS], -1
    mov esi, RESULTS
    mov edi, ebx
    mov ecx, 8
    rep movsw
    mov dx, 0x5678
    xor eax, eax
    in eax, dx
    mov ecx, 0xffffffff
    EQ64 rax, rcx
    in al, dx
    xor eax, eax
    in ax, dx
    EQ64 rax, 0xffff
    out dx, eax
    PASS64
