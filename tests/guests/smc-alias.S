# Code changed through another linear address of the same frame, by another page size, and by pushes, string
# stores, locked and floating-point instructions; and code that changes because its page is mapped anew.
# expect: exit=0x10
.include "long.inc"
.set CODE, DATA
main:
    fninit
    mov byte ptr [CODE], 0xb8       # MOV EAX, imm32; RET
    mov dword ptr [CODE+1], 1
    mov byte ptr [CODE+5], 0xc3
    mov ebx, CODE
    call rbx
    EQ64 rax, 1
    # An alias in the same table
    PTE DATA+0x5000, CODE+P_+RW
    mov byte ptr [DATA+0x5001], 2
    call rbx
    EQ64 rax, 2
    # One by a large page
    mov qword ptr [PDPT+8], P_+RW+PS            # 1 GiB on
    mov ecx, 0x40000000+CODE
    mov byte ptr [rcx+1], 3
    call rbx
    EQ64 rax, 3
    # The code runs through the alias, the store goes to the first address.
    mov esi, DATA+0x5000
    call rsi
    EQ64 rax, 3
    mov byte ptr [CODE+1], 4
    call rsi
    EQ64 rax, 4
    call rcx
    EQ64 rax, 4
    # By a push
    mov rdx, rsp
    mov esp, CODE+9
    push 0x00c30005                 # the immediate's bytes 1 to 8
    mov rsp, rdx
    mov byte ptr [CODE+5], 0xc3
    call rbx
    EQ64 rax, 0xc30005
    # By a string store, a locked instruction, x87 and SSE
    mov edi, CODE+1
    mov eax, 6
    stosd
    call rbx
    EQ64 rax, 6
    lock inc byte ptr [CODE+1]
    call rbx
    EQ64 rax, 7
    mov dword ptr [RESULTS], 8
    fild dword ptr [RESULTS]
    fistp dword ptr [CODE+1]
    call rbx
    EQ64 rax, 8
    # The other page's frame moves in: new code by a new mapping
    mov byte ptr [DATA+0x2000], 0xb8
    mov dword ptr [DATA+0x2001], 9
    mov byte ptr [DATA+0x2005], 0xc3
    PTE CODE, DATA+0x2000+P_+RW
    call rbx
    EQ64 rax, 9
    call rsi
    EQ64 rax, 8
    PASS64
