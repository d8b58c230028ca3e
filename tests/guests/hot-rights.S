# Hot loops when a page that they touch loses a right: present, writable, executable, user; when CR0.WP, EFER.NXE, SMEP and
# SMAP say otherwise than before; and when its accessed and dirty bits are cleared. The next touch faults at its
# instruction, or sets the bits; with the right back, the loop goes on.
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
.set HOT, 12000
.set WARM, 100
.set TIMES, 40
.set PAGE, DATA+0x1000              # the page
.set E, PT_LOW+((PAGE)>>12)*8
.set LEVEL2, PD_LOW                 # the entry above
.set RIGHTS, P_+RW+A_+D_
.set GONE, 0
.set CR4_SMEP, 1<<20
.set CR4_SMAP, 1<<21

# Runs a function hot, then again and again: takes a right away, sees the fault, gives it back, runs it warm.
.macro LOSE function, at, vector, error, take:req, give:req
    mov ecx, HOT
    call \function
    mov r14d, TIMES
.Lagain\@:
    \take
    EXPECT64 .Lfault\@
    mov ecx, WARM
    call \function
    FAIL64
.Lfault\@:
    EQ64 rcx, WARM
    TRAPPED64 \vector, \error, \at
    EQ64 [TRAP_CR2], r13
    \give
    mov ecx, WARM
    call \function
    dec r14d
    jnz .Lagain\@
.endm
.macro ENTRY value
    mov qword ptr [E], PAGE+\value
    invlpg [PAGE]
.endm
.macro WP_OFF
    mov rax, cr0
    btr eax, 16
    mov cr0, rax
.endm
.macro WP_ON
    mov rax, cr0
    bts eax, 16
    mov cr0, rax
.endm
.macro SMEP operation, mask
    mov rax, cr4
    \operation eax, \mask
    mov cr4, rax
.endm
main:
    mov rax, cr0
    or eax, 0x10000                 # WP
    mov cr0, rax
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_NXE
    wrmsr
    mov byte ptr [PAGE+0x800], 0xc3 # RET
    ENTRY RIGHTS
    mov r13d, PAGE+0x10
    LOSE loads, load_at, 14, 0, "ENTRY GONE", "ENTRY RIGHTS"
    LOSE stores, store_at, 14, 2, "ENTRY GONE", "ENTRY RIGHTS"
    LOSE stores, store_at, 14, 3, "ENTRY RIGHTS-RW", "ENTRY RIGHTS"
    LOSE updates, update_at, 14, 3, "ENTRY RIGHTS-RW", "ENTRY RIGHTS"
    LOSE locks, lock_at, 14, 3, "ENTRY RIGHTS-RW", "ENTRY RIGHTS"
    LOSE blocks, block_at, 14, 3, "ENTRY RIGHTS-RW", "ENTRY RIGHTS"
    # By the entry above, that of the whole table
    LOSE stores, store_at, 14, 3, "and byte ptr [LEVEL2], ~RW ; invlpg [PAGE]", "or byte ptr [LEVEL2], RW ; invlpg [PAGE]"
    # WP makes read-only pages so for the supervisor.
    ENTRY RIGHTS-RW
    WP_OFF
    LOSE stores, store_at, 14, 3, "WP_ON", "WP_OFF"
    LOSE updates, update_at, 14, 3, "WP_ON", "WP_OFF"
    WP_ON
    ENTRY RIGHTS
    # Code
    mov r13d, PAGE+0x800
    LOSE calls, PAGE+0x800, 14, 0x11, "bts qword ptr [E], 63 ; invlpg [PAGE]", "ENTRY RIGHTS"
    LOSE calls, PAGE+0x800, 14, 0x10, "ENTRY GONE", "ENTRY RIGHTS"
    # SMEP and SMAP, where they are
    mov eax, 7
    xor ecx, ecx
    cpuid
    bt ebx, 7
    jnc 1f
    ENTRY RIGHTS+US
    LOSE calls, PAGE+0x800, 14, 0x11, "SMEP or, CR4_SMEP", "SMEP and, ~CR4_SMEP"
1:  mov eax, 7
    xor ecx, ecx
    cpuid
    bt ebx, 20
    jnc 1f
    ENTRY RIGHTS+US
    mov r13d, PAGE+0x10
    mov rax, cr4
    or eax, CR4_SMAP
    mov cr4, rax
    stac
    LOSE loads, load_at, 14, 1, "clac", "stac"
    LOSE stores, store_at, 14, 3, "clac", "stac"
    clac
    mov rax, cr4
    and eax, ~CR4_SMAP
    mov cr4, rax
1:  ENTRY RIGHTS
    call bits
    # CPL 3: a page that becomes the supervisor's
    mov r14d, TIMES
    mov r15d, HOT
2:  ENTRY RIGHTS+US
    USER64 user
    EQ64 [TRAP_VEC], 0x80
    mov r15d, WARM
    ENTRY RIGHTS
    USER64 user
    TRAPPED64 14, 7, user_at
    EQ64 rcx, WARM
    dec r14d
    jnz 2b
    PASS64

.pushsection .user
user:
    mov ecx, r15d
1:  mov eax, [rsp-8]
user_at:
    mov [PAGE+0x10], ecx
    dec ecx
    jnz 1b
    int 0x80
.popsection

# Functions: ECX rounds, each with one touch of the page.
loads:
    add rax, rdx
load_at:
    mov rax, [PAGE+0x10]
    dec ecx
    jnz loads
    ret
stores:
    add rax, rdx
store_at:
    mov [PAGE+0x10], rax
    dec ecx
    jnz stores
    ret
updates:
    add rax, rdx
update_at:
    adc [PAGE+0x10], rax
    dec ecx
    jnz updates
    ret
locks:
    mov eax, 1
lock_at:
    lock xadd [PAGE+0x10], rax
    dec ecx
    jnz locks
    ret
blocks:
    mov edi, PAGE+0x10
block_at:
    stosq
    dec ecx
    jnz blocks
    ret
calls:
    mov eax, PAGE+0x800
    call rax
    dec ecx
    jnz calls
    ret

# A and D, cleared while the loops are hot, come back with the next touch, and only the right ones.
bits:
    mov ecx, HOT
    call stores
    mov ecx, HOT
    call loads
    mov r14d, TIMES
1:  ENTRY P_+RW
    mov ecx, WARM
    call loads
    EQ64 [E], PAGE+P_+RW+A_
    mov ecx, WARM
    call stores
    EQ64 [E], PAGE+P_+RW+A_+D_
    ENTRY P_+RW+A_
    mov ecx, 1
    call updates
    EQ64 [E], PAGE+P_+RW+A_+D_
    ENTRY P_+RW
    mov ecx, WARM
    call calls
    EQ64 [E], PAGE+P_+RW+A_
    ENTRY P_+RW+A_
    mov ecx, 1
    call stores
    EQ64 [E], PAGE+P_+RW+A_+D_
    dec r14d
    jnz 1b
    ret
