# A device's page by every form of access that programs use: moves, arithmetic in place, compares, exchanges, string
# instructions, the stack.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.macro TPR_IS value
    mov eax, [rbx]
    EQ64 rax, (\value)
.endm
main:
    APIC_ENABLE
    mov ebx, APIC+APIC_TPR
    mov dword ptr [rbx], 0x10
    TPR_IS 0x10
    mov ecx, 0x20
    mov [rbx], ecx
    TPR_IS 0x20
    add dword ptr [rbx], 0x10
    TPR_IS 0x30
    or dword ptr [rbx], 0x40
    TPR_IS 0x70
    and dword ptr [rbx], ~0x10
    TPR_IS 0x60
    xor ecx, ecx
    xor ecx, [rbx]
    EQ64 rcx, 0x60
    cmp dword ptr [rbx], 0x60
    jne bad
    test dword ptr [rbx], 0x20
    jz bad
    bt dword ptr [rbx], 6
    jnc bad
    mov ecx, 0x50
    xchg [rbx], ecx
    EQ64 rcx, 0x60
    TPR_IS 0x50
    mov eax, 0x50
    mov ecx, 0x80
    lock cmpxchg [rbx], ecx
    jne bad
    TPR_IS 0x80
    lock btc dword ptr [rbx], 4
    TPR_IS 0x90
    shr dword ptr [rbx], 1
    TPR_IS 0x48
    mov dword ptr [rbx], 0x30
    # Stack and string forms
    mov dword ptr [RESULTS], 0x70
    mov esi, RESULTS
    mov edi, ebx
    cld
    movsd
    TPR_IS 0x70
    mov esi, ebx
    mov edi, RESULTS+8
    movsd
    mov eax, [RESULTS+8]
    EQ64 rax, 0x70
    mov esi, ebx
    lodsd
    EQ64 rax, 0x70
    mov edi, ebx
    mov eax, 0x20
    stosd
    TPR_IS 0x20
    mov edi, ebx
    scasd
    jne bad
    # Loads that widen, and a branch through memory's value
    movsxd rcx, dword ptr [rbx]
    EQ64 rcx, 0x20
    imul ecx, [rbx], 3
    EQ64 rcx, 0x60
    cmovz ecx, [rbx]
    movnti [rbx], ecx
    mov dword ptr [rbx], 0
    # By the CPU's vector registers
    mov rax, cr4
    or eax, 0x600
    mov cr4, rax
    mov ecx, 0x40
    movd xmm0, ecx
    movd [rbx], xmm0
    TPR_IS 0x40
    movd xmm1, [rbx]
    movd ecx, xmm1
    EQ64 rcx, 0x40
    fninit
    mov dword ptr [RESULTS], 0x50
    fild dword ptr [RESULTS]
    fistp dword ptr [rbx]
    TPR_IS 0x50
    mov dword ptr [rbx], 0
    PASS64
bad:
    FAIL64
