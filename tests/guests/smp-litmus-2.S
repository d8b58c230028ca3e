# Memory order between two CPUs: store buffering (plain, which may show, and with fences and locked instructions), message
# passing, load buffering, 2+2W, R, S, coherence, store forwarding. What x86-TSO forbids is never seen; how often the
# allowed outcomes were is left at 0x600, 32 bytes for each test: the first is the relaxed one, where there is one.
# cpus: 2
# expect: exit=0x10
.set LITMUS_THREADS, 2
.include "long.inc"
.include "apic.inc"
.include "smp.inc"
.include "litmus.inc"
main:
    APIC_ENABLE
    LITMUS_CPUS
    LITMUS 0, sb_check, sb0, sb1
    LITMUS 15, sb_check, busy0, busy1
    LITMUS 1, sb_fenced_check, sb0_mfence, sb1_mfence
    LITMUS 2, sb_fenced_check, sb0_xchg, sb1_xchg
    LITMUS 3, sb_fenced_check, sb0_lock, sb1_lock
    LITMUS 4, sb_fenced_check, sb0_cmpxchg, sb1_xadd
    LITMUS 5, mp_check, mp0, mp1
    LITMUS 6, mp_check, mp0_string, mp1_narrow
    LITMUS 7, lb_check, lb0, lb1
    LITMUS 8, w22_check, w22_0, w22_1
    LITMUS 9, r_check, r0, r1
    LITMUS 10, r_fenced_check, r0, r1_mfence
    LITMUS 11, s_check, s0, s1
    LITMUS 12, corr_check, corr0, corr1
    LITMUS 13, forward_check, forward0, forward1
    LITMUS 14, n5_check, n5_0, n5_1
    LITMUS 16, torn_check, torn0, torn1
    LITMUS_END
    PASS64

.macro SB name, mine, its, result, fence:vararg
\name:
    mov qword ptr [\mine+rbx], 1
    \fence
    mov rax, [\its+rbx]
    mov [\result+rbx], rax
    ret
.endm
SB sb0, LX, LY, L0
SB sb1, LY, LX, L1
# With a store buffer that has enough to do
.macro BUSY name, plain
\name:
    .irp at, 0, 8, 16, 24
    mov [L2+rbx+\at], rbx
    mov [L3+rbx+\at], rbx
    .endr
    jmp \plain
.endm
BUSY busy0, sb0
BUSY busy1, sb1
SB sb0_mfence, LX, LY, L0, mfence
SB sb1_mfence, LY, LX, L1, mfence
SB sb0_lock, LX, LY, L0, lock or dword ptr [rsp], 0
SB sb1_lock, LY, LX, L1, lock add dword ptr [rsp-64], 1
sb0_xchg:
    mov eax, 1
    xchg [LX+rbx], rax
    mov rax, [LY+rbx]
    mov [L0+rbx], rax
    ret
sb1_xchg:
    mov edx, 1
    xchg rdx, [LY+rbx]
    mov rax, [LX+rbx]
    mov [L1+rbx], rax
    ret
sb0_cmpxchg:
    xor eax, eax
    mov edx, 1
    lock cmpxchg [LX+rbx], rdx
    mov rax, [LY+rbx]
    mov [L0+rbx], rax
    ret
sb1_xadd:
    mov edx, 1
    lock xadd [LY+rbx], rdx
    mov rax, [LX+rbx]
    mov [L1+rbx], rax
    ret
# 0: both old; 1, 2: one old; 3: none
sb_check:
    mov rax, [L0+rbx]
    mov rdx, [L1+rbx]
    lea rax, [rax+rdx*2]
    ret
sb_fenced_check:
    call sb_check
    test eax, eax
    jnz 1f
    mov eax, 4
1:  ret

mp0:
    mov qword ptr [LX+rbx], 1
    mov qword ptr [LY+rbx], 1
    ret
mp1:
    mov rax, [LY+rbx]
    mov rdx, [LX+rbx]
    mov [L0+rbx], rax
    mov [L1+rbx], rdx
    ret
mp0_string:
    lea rdi, [LX+rbx]
    mov eax, 1
    stosb
    mov word ptr [LY+rbx], 1
    ret
mp1_narrow:
    movzx eax, byte ptr [LY+rbx]
    mov edx, [LX+rbx]
    mov [L0+rbx], rax
    mov [L1+rbx], rdx
    ret
# Forbidden: the flag without the data
mp_check:
    call sb_check
    cmp eax, 1
    jne 1f
    mov eax, 4
1:  ret

lb0:
    mov rax, [LX+rbx]
    mov qword ptr [LY+rbx], 1
    mov [L0+rbx], rax
    ret
lb1:
    mov rax, [LY+rbx]
    mov qword ptr [LX+rbx], 1
    mov [L1+rbx], rax
    ret
# Forbidden: both new
lb_check:
    call sb_check
    cmp eax, 3
    jne 1f
    mov eax, 4
1:  ret

w22_0:
    mov qword ptr [LX+rbx], 1
    mov qword ptr [LY+rbx], 2
    ret
w22_1:
    mov qword ptr [LY+rbx], 1
    mov qword ptr [LX+rbx], 2
    ret
# Forbidden: each one's first store came last
w22_check:
    mov rax, [LX+rbx]
    mov rdx, [LY+rbx]
    lea eax, [rax+rdx*2-3]          # 1 1: 0; 2 1: 1; 1 2: 2; 2 2: 3
    test eax, eax
    jnz 1f
    mov eax, 4
1:  ret

r0:
    mov qword ptr [LX+rbx], 1
    mov qword ptr [LY+rbx], 1
    ret
r1:
    mov qword ptr [LY+rbx], 2
    mov rax, [LX+rbx]
    mov [L0+rbx], rax
    ret
r1_mfence:
    mov qword ptr [LY+rbx], 2
    mfence
    mov rax, [LX+rbx]
    mov [L0+rbx], rax
    ret
# 0: Y is the second's, though it has not seen X, which was stored before the first's Y
r_check:
    mov rdx, [LY+rbx]
    xor eax, eax
    cmp edx, 2
    setne al
    mov rdx, [L0+rbx]
    lea eax, [rax+rdx*2]
    ret
r_fenced_check:
    call r_check
    test eax, eax
    jnz 1f
    mov eax, 4
1:  ret

s0:
    mov qword ptr [LX+rbx], 2
    mov qword ptr [LY+rbx], 1
    ret
s1:
    mov rax, [LY+rbx]
    mov qword ptr [LX+rbx], 1
    mov [L0+rbx], rax
    ret
# Forbidden: Y seen, and X stored before it wins
s_check:
    mov rax, [LX+rbx]
    dec eax
    mov rdx, [L0+rbx]
    lea eax, [rax+rdx*2]
    cmp eax, 3
    jne 1f
    mov eax, 4
1:  ret

corr0:
    mov qword ptr [LX+rbx], 1
    ret
corr1:
    mov rax, [LX+rbx]
    mov rdx, [LX+rbx]
    mov [L0+rbx], rax
    mov [L1+rbx], rdx
    ret
# Forbidden: new, then old
corr_check:
    jmp mp_check

# A CPU sees its own stores early.
forward0:
    mov qword ptr [LX+rbx], 1
    mov rdx, [LX+rbx]
    mov rax, [LY+rbx]
    mov [L0+rbx], rax
    mov [L2+rbx], rdx
    ret
forward1:
    mov qword ptr [LY+rbx], 1
    mov rdx, [LY+rbx]
    mov rax, [LX+rbx]
    mov [L1+rbx], rax
    mov [L3+rbx], rdx
    ret
forward_check:
    call sb_check
    mov rdx, [L2+rbx]
    and rdx, [L3+rbx]
    jnz 1f
    mov eax, 4
1:  ret

n5_0:
    mov qword ptr [LX+rbx], 1
    mov rax, [LX+rbx]
    mov [L0+rbx], rax
    ret
n5_1:
    mov qword ptr [LX+rbx], 2
    mov rax, [LX+rbx]
    mov [L1+rbx], rax
    ret
# Forbidden: each sees the other's store over its own
n5_check:
    xor eax, eax
    cmp qword ptr [L0+rbx], 2
    sete al
    xor edx, edx
    cmp qword ptr [L1+rbx], 1
    sete dl
    lea eax, [rax+rdx*2]
    cmp eax, 3
    jne 1f
    mov eax, 4
1:  ret

# Stores within a cache line are seen whole, aligned or not.
torn0:
    mov rax, -1
    mov [LX+rbx], rax
    mov [LX+rbx+11], rax
    mov [LX+rbx+30], eax
    mov [LX+rbx+41], ax
    ret
torn1:
    mov rax, [LX+rbx+11]
    mov edx, [LX+rbx+30]
    mov si, [LX+rbx+41]
    mov rdi, [LX+rbx]
    mov [L0+rbx], rax
    mov [L1+rbx], edx
    mov [L2+rbx], si
    mov [L3+rbx], rdi
    ret
torn_check:
    mov rax, [L0+rbx]
    inc rax
    cmp rax, 1
    ja 1f
    mov eax, [L1+rbx]
    inc eax
    cmp eax, 1
    ja 1f
    movzx eax, word ptr [L2+rbx]
    inc ax
    cmp ax, 1
    ja 1f
    mov rax, [L3+rbx]
    inc rax
    cmp rax, 1
    ja 1f
    ret
1:  mov eax, 4
    ret
