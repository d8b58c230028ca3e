# Masked AVX moves touch only the elements whose mask is set: pages behind the others may be absent. Gathers that fault
# keep what they have, and go on.
# differs: qemu: masked elements fault
# expect: exit=0x10
.include "long.inc"
.include "xsave.inc"
.set EDGE, DATA+0x1000
main:
    XSAVE_ON
    mov eax, 0x11111111
    mov dword ptr [EDGE-16], 1
    mov dword ptr [EDGE-12], 2
    mov dword ptr [EDGE-8], 3
    mov dword ptr [EDGE-4], 4
    PTE EDGE, 0
    vmovups ymm1, [low_half]
    vmaskmovps ymm0, ymm1, [EDGE-16]
    vmovups [RESULTS], ymm0
    mov eax, [RESULTS+12]
    EQ64 rax, 4
    EQ64 [RESULTS+16], 0
    EQ64 [RESULTS+24], 0
    vpaddd ymm0, ymm0, ymm0
    vmaskmovps [EDGE-16], ymm1, ymm0
    mov eax, [EDGE-4]
    EQ64 rax, 8
    vpmaskmovd ymm0, ymm1, [EDGE-16]
    vmovups ymm2, [all]
    FAULT64 14, 0, vmaskmovps ymm0, ymm2, [EDGE-16]
    mov rax, [TRAP_CR2]
    and rax, -4096
    EQ64 rax, EDGE
    FAULT64 14, 2, vmaskmovps [EDGE-16], ymm2, ymm0
    # Nothing set: nothing is touched
    vxorps ymm3, ymm3, ymm3
    vmaskmovps ymm0, ymm3, [EDGE]
    vmaskmovps [EDGE], ymm3, ymm0
    # Gather: elements 0 to 3 are there, 4 is not
    vmovups ymm4, [index]
    mov ebx, EDGE
    FAULT64 14, 0, vpgatherdd ymm5, [rbx+ymm4*4], ymm2
    mov rax, [TRAP_CR2]
    and rax, -4096
    EQ64 rax, EDGE
    PTE EDGE, EDGE+P_+RW
    mov dword ptr [EDGE], 50
    mov dword ptr [EDGE+12], 53
    vpgatherdd ymm5, [rbx+ymm4*4], ymm2         # goes on with what the mask has left
    vmovups [RESULTS], ymm5
    mov eax, [RESULTS+12]
    EQ64 rax, 8
    mov eax, [RESULTS+16]
    EQ64 rax, 50
    mov eax, [RESULTS+28]
    EQ64 rax, 53
    vptest ymm2, ymm2
    setz al
    movzx eax, al
    EQ64 rax, 1                     # the mask is used up
    PASS64
.balign 32
low_half: .long -1, -1, -1, -1, 0, 0, 0, 0
all: .long -1, -1, -1, -1, -1, -1, -1, -1
index: .long -4, -3, -2, -1, 0, 1, 2, 3
