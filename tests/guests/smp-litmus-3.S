# Memory order among three CPUs: who has seen a store and tells of it can't be ahead of the store itself (WRC, ISA2, Z6).
# cpus: 3
# expect: exit=0x10
.set LITMUS_THREADS, 3
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.include "litmus.inc"
main:
    APIC_ENABLE
    LITMUS_CPUS
    LITMUS 0, causal_check, write_x, wrc1, wrc2
    LITMUS 1, causal_check, write_xy, isa1, isa2
    LITMUS 2, z6_check, write_xy, z6_1, z6_2
    LITMUS_END
    PASS64
write_x:
    mov qword ptr [LX+rbx], 1
    ret
write_xy:
    mov qword ptr [LX+rbx], 1
    mov qword ptr [LY+rbx], 1
    ret
wrc1:
    mov rax, [LX+rbx]
    mov [LY+rbx], rax
    mov [L0+rbx], rax
    ret
wrc2:
    mov rax, [LY+rbx]
    mov rdx, [LX+rbx]
    mov [L1+rbx], rax
    mov [L2+rbx], rdx
    ret
isa1:
    mov rax, [LY+rbx]
    mov qword ptr [LZ+rbx], 1
    mov [L0+rbx], rax
    ret
isa2:
    mov rax, [LZ+rbx]
    mov rdx, [LX+rbx]
    mov [L1+rbx], rax
    mov [L2+rbx], rdx
    ret
# Forbidden: both hops seen, but not the data
causal_check:
    mov rax, [L0+rbx]
    mov rdx, [L1+rbx]
    lea eax, [rax+rdx*2]
    cmp eax, 3
    jne 1f
    cmp qword ptr [L2+rbx], 0
    jne 1f
    mov eax, 4
1:  ret
# Y = 2 over the first's 1, then with a fence Z; the third stores Z, fences, reads X.
z6_1:
    mov qword ptr [LY+rbx], 2
    mov qword ptr [LZ+rbx], 1
    ret
z6_2:
    mov qword ptr [LZ+rbx], 2
    mfence
    mov rax, [LX+rbx]
    mov [L0+rbx], rax
    ret
# Forbidden: X, Y by the first; Y, Z by the second over it; Z by the third over that, and X not seen
z6_check:
    xor eax, eax
    cmp qword ptr [LY+rbx], 2
    sete al
    xor edx, edx
    cmp qword ptr [LZ+rbx], 2
    sete dl
    lea eax, [rax+rdx*2]
    cmp eax, 3
    jne 1f
    cmp qword ptr [L0+rbx], 0
    jne 1f
    mov eax, 4
1:  ret
