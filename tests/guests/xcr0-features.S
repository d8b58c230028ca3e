# Each bit of XCR0 that CPUID leaf 13 does not offer raises #GP, and the sizes there follow what is enabled.
# expect: exit=0x10
.include "long.inc"
.include "xsave.inc"
main:
    XSAVE_ON 1
    mov eax, 13
    xor ecx, ecx
    cpuid
    mov esi, eax                    # offered, low
    mov edi, edx
    cmp ecx, ebx
    jb bad                          # the most is not less than what is on
    # One at a time, with x87
    xor ebp, ebp
1:  mov eax, 1
    xor edx, edx
    cmp ebp, 32
    jae 2f
    bt esi, ebp
    jc 4f
    bts eax, ebp
    jmp 3f
2:  bt edi, ebp
    jc 4f
    bts edx, ebp
3:  xor ecx, ecx
    FAULT64 13, 0, xsetbv
4:  inc ebp
    cmp ebp, 64
    jne 1b
    # AVX: the area grows to where its component ends.
    bt esi, 2
    jnc done
    XSAVE_ON 7
    mov eax, 13
    xor ecx, ecx
    cpuid
    mov esi, ebx
    mov eax, 13
    mov ecx, 2
    cpuid
    EQ64 rax, 256                   # size
    EQ64 rbx, 576                   # offset
    add eax, ebx
    EQ64 rax, rsi
    # Everything that is offered is fine together.
done:
    PASS64
bad:
    FAIL64
