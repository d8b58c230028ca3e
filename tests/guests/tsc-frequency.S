# The TSC's frequency, if CPUID tells it (leaf 0x15 or the hypervisor's 0x40000010), is what the PIT measures.
# differs: bochs: its time is not the frequency that it tells
# expect: exit=0x10
.include "long.inc"
.macro NOW
    rdtsc
    shl rdx, 32
    or rax, rdx
.endm
main:
    xor eax, eax
    cpuid
    xor esi, esi                    # kHz
    cmp eax, 0x15
    jb 1f
    mov eax, 0x15
    xor ecx, ecx
    cpuid
    test eax, eax
    jz 1f
    test ecx, ecx
    jz 1f
    mov esi, eax
    mov eax, ecx
    mul rbx
    div rsi
    xor edx, edx
    mov ecx, 1000
    div rcx
    mov rsi, rax
1:  mov eax, 0x40000000
    cpuid
    cmp eax, 0x40000010
    jb 1f
    cmp eax, 0x40000100
    ja 1f
    mov eax, 0x40000010
    cpuid
    test eax, eax
    jz 1f
    test esi, esi
    jz 2f
    # Both agree within a thousandth.
    mov ecx, esi
    sub ecx, eax
    jns 3f
    neg ecx
3:  imul ecx, ecx, 1000
    cmp ecx, esi
    ja bad
2:  mov esi, eax
1:  test esi, esi
    jz done                         # not told
    mov r15d, 40                    # a busy host may disturb some tries
    # 50 ms by channel 2 in mode 0
try:
    mov al, 1
    out 0x61, al
    mov al, 0xb0
    out 0x43, al
    mov al, 0x0b                    # 59659 ticks
    out 0x42, al
    mov al, 0xe9
    out 0x42, al
    NOW
    mov rbx, rax
4:  in al, 0x61
    test al, 0x20
    jz 4b
    NOW
    sub rax, rbx
    xor edx, edx
    mov ecx, 50
    div rcx                         # kHz
    # Within 10 %
    mov ecx, esi
    imul rcx, rcx, 9
    imul rbx, rax, 10
    cmp rbx, rcx
    jb again
    mov ecx, esi
    imul rcx, rcx, 11
    cmp rbx, rcx
    ja again
done:
    PASS64
again:
    dec r15d
    jnz try
bad:
    FAIL64
