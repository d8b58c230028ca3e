# Memory order among four CPUs: independent reads of independent writes are seen in one order by all (IRIW), plain and
# with locked stores.
# cpus: 4
# expect: exit=0x10
.set LITMUS_THREADS, 4
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.include "litmus.inc"
main:
    APIC_ENABLE
    LITMUS_CPUS
    LITMUS 0, check, write_x, write_y, read_xy, read_yx
    LITMUS 1, check, lock_x, lock_y, read_xy, read_yx
    LITMUS_END
    PASS64
write_x:
    mov qword ptr [LX+rbx], 1
    ret
write_y:
    mov qword ptr [LY+rbx], 1
    ret
lock_x:
    lock inc qword ptr [LX+rbx]
    ret
lock_y:
    mov eax, 1
    xchg [LY+rbx], eax
    ret
read_xy:
    mov rax, [LX+rbx]
    mov rdx, [LY+rbx]
    mov [L0+rbx], rax
    mov [L1+rbx], rdx
    ret
read_yx:
    mov rax, [LY+rbx]
    mov rdx, [LX+rbx]
    mov [L2+rbx], rax
    mov [L3+rbx], rdx
    ret
# 1: the first reader saw X alone; 2: the second saw Y alone. Forbidden: both
check:
    mov rax, [L0+rbx]
    mov rdx, [L1+rbx]
    xor edx, 1
    and eax, edx
    mov rdx, [L3+rbx]
    xor edx, 1
    and rdx, [L2+rbx]
    lea eax, [rax+rdx*2]
    cmp eax, 3
    jne 1f
    mov eax, 4
1:  ret
