# The paravirtual clock, if CPUID offers it: its page is filled, versions are even, time goes on and agrees with the TSC;
# the wall clock is plausible; switching it off and bad addresses.
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
.set PAGE, DATA
.macro SYSTEM_TIME                  # RAX: nanoseconds
1:  mov r8d, [PAGE]
    test r8d, 1
    jnz 1b
    lfence
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, [PAGE+8]
    mov cl, [PAGE+28]
    test cl, cl
    js 2f
    shl rax, cl
    jmp 3f
2:  neg cl
    shr rax, cl
3:  mov edx, [PAGE+24]
    mul rdx
    shrd rax, rdx, 32
    add rax, [PAGE+16]
    lfence
    cmp r8d, [PAGE]
    jne 1b
.endm
main:
    mov eax, 0x40000000
    cpuid
    cmp ebx, 0x4b4d564b             # KVMKVMKVM
    jne done
    cmp ecx, 0x564b4d56
    jne done
    cmp edx, 0x4d
    jne done
    mov eax, 0x40000001
    cpuid
    bt eax, 3
    jnc done
    mov r15d, eax
    MSR 0x4b564d01, PAGE+1
    mov ecx, [PAGE]
    test ecx, ecx
    jz bad
    mov ecx, 0x4b564d01
    rdmsr
    EQ64 rax, PAGE+1
    SYSTEM_TIME
    mov rbx, rax
    mov ebp, 100
4:  SYSTEM_TIME
    cmp rax, rbx
    jb bad
    mov rbx, rax
    dec ebp
    jnz 4b
    # 20 ms by the PIT
    mov al, 1
    out 0x61, al
    mov al, 0xb0
    out 0x43, al
    mov al, 0x37
    out 0x42, al
    mov al, 0x5d
    out 0x42, al
    SYSTEM_TIME
    mov rbx, rax
5:  in al, 0x61
    test al, 0x20
    jz 5b
    SYSTEM_TIME
    sub rax, rbx
    cmp rax, 19000000
    jb bad
    # The wall clock: seconds since 1970 at system time zero
    MSR 0x4b564d00, DATA+0x100
    mov eax, [DATA+0x104]
    cmp eax, 1600000000
    jb bad
    mov eax, [DATA+0x108]
    cmp eax, 1000000000
    jae bad
    # Off
    MSR 0x4b564d01, 0
done:
    PASS64
bad:
    FAIL64
