# Instructions across a page boundary: they run on frames that do not follow each other, and fault with CR2 at the
# second page and RIP at the instruction when that page is absent.
# differs: bochs: INVLPG does not reach decoded instructions that cross pages
# expect: exit=0x10
.include "long.inc"
.set EDGE, DATA+0x1000
.set SECOND, DATA+0x5000
main:
    PTE EDGE, SECOND+P_+RW
    .set n, 1
    .rept 9
    # MOV RAX, imm64; RET: eleven bytes, n of them in the first page
    mov ebx, EDGE-n
    mov word ptr [rbx], 0xb848
    mov rcx, 0x1122334455667788
    mov [rbx+2], rcx
    mov byte ptr [rbx+10], 0xc3
    xor eax, eax
    call rbx
    EQ64 rax, rcx
    .set n, n + 1
    .endr
    PTE EDGE, 0
    EXPECT64 1f
    call rbx
1:  EQ64 [TRAP_VEC], 14
    EQ64 [TRAP_ERR], 0
    EQ64 [TRAP_IP], EDGE-9
    EQ64 [TRAP_CR2], EDGE
    # An instruction that ends at the page's last byte: the fault is the next one's.
    mov dword ptr [EDGE-4], 0x90909090
    EXPECT64 1f
    mov ebx, EDGE-4
    jmp rbx
1:  TRAPPED64 14, 0, EDGE
    EQ64 [TRAP_CR2], EDGE
    # A RET near the end needs no next page.
    mov dword ptr [EDGE-6], 0xc3c03190  # NOP; XOR EAX, EAX; RET
    lea ebx, [EDGE-6]
    xor eax, eax
    call rbx
    # The bytes of the second page count when it comes back, from another frame.
    mov ebx, EDGE-9
    mov rcx, 0x1122334455667788
    mov word ptr [rbx], 0xb848
    mov dword ptr [rbx+2], ecx
    mov word ptr [rbx+6], 0x3344
    mov byte ptr [rbx+8], 0x22
    mov byte ptr [SECOND+0x1000], 0x99
    mov byte ptr [SECOND+0x1001], 0xc3
    PTE EDGE, SECOND+0x1000+P_+RW
    call rbx
    mov rcx, 0x9922334455667788
    EQ64 rax, rcx
    PASS64
