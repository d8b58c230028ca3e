# STAC and CLAC in hot loops: user pages are open between them alone, at each instruction and in runs of accesses by one
# address; AC is exact in PUSHF, in exceptions' frames and behind POPF; the arithmetic flags stay. Without CR4.SMAP they
# change AC alone. Code that was hot at CPL 0 is refused what CPL 1 may not do.
# expect: exit=0x10
.include "long.inc"
.set HOT, 12000
.set WARM, 100
.set TIMES, 40
.set PAGE, DATA+0x1000              # a user page
.set OTHER, DATA+0x2000             # a supervisor's
.set E, PT_LOW+((PAGE)>>12)*8
.set RIGHTS, P_+RW+A_+D_
.set CR4_SMAP, 1<<21
.macro ENTRY value
    mov qword ptr [E], PAGE+\value
    invlpg [PAGE]
.endm
.macro SMAP_ON
    mov rax, cr4
    or eax, CR4_SMAP
    mov cr4, rax
.endm
.macro SMAP_OFF
    mov rax, cr4
    and eax, ~CR4_SMAP
    mov cr4, rax
.endm
# The latest frame's AC.
.macro FRAME_AC value
    mov rax, [TRAP_FLAGS]
    and eax, EFLAGS_AC
    EQ64 rax, \value
.endm
main:
    ENTRY RIGHTS+US
    SMAP_ON
    # Open, use, close, again and again
    mov qword ptr [OTHER], 0
    mov ecx, HOT
    xor r8d, r8d
    xor r9d, r9d
    call copies
    EQ64 [OTHER], HOT
    EQ64 r8, HOT                    # AC inside, each time
    EQ64 r9, 0                      # and behind
    stac
    mov rax, [PAGE+8]
    clac
    EQ64 rax, HOT
    # A loop that is open or not by what it is told
    mov ebx, 1
    mov ecx, HOT
    call maybe
    mov r14d, TIMES
1:  mov ecx, WARM
    mov ebx, 1
    call maybe
    EXPECT64 2f
    mov ecx, WARM
    xor ebx, ebx
    call maybe
    FAIL64
2:  TRAPPED64 14, 1, maybe_at
    EQ64 rcx, WARM
    FRAME_AC 0
    dec r14d
    jnz 1b
    # The page goes while it is open: the frame has AC.
    mov r14d, TIMES
1:  mov ecx, WARM
    mov ebx, 1
    call maybe
    ENTRY 0
    EXPECT64 2f
    mov ecx, WARM
    call maybe
    FAIL64
2:  TRAPPED64 14, 0, maybe_at
    FRAME_AC EFLAGS_AC
    ENTRY RIGHTS+US
    dec r14d
    jnz 1b
    # A run of accesses by one address, closed in its middle; the page is the supervisor's at first.
    ENTRY RIGHTS
    mov ecx, HOT
    call runs
    mov r14d, TIMES
1:  ENTRY RIGHTS
    mov ecx, WARM
    call runs
    ENTRY RIGHTS+US
    EXPECT64 2f
    mov ecx, WARM
    call runs
    FAIL64
2:  TRAPPED64 14, 1, run_at
    EQ64 rcx, WARM
    EQ64 [TRAP_CR2], PAGE+16
    FRAME_AC 0
    dec r14d
    jnz 1b
    # POPF opens and closes.
    mov ecx, HOT
    xor eax, eax
    call pops
    EQ64 rax, HOT
    mov r14d, TIMES
1:  mov ecx, WARM
    mov r8d, 2+EFLAGS_AC
    call pops
    EXPECT64 2f
    mov ecx, WARM
    mov r8d, 2
    call pops_by
    FAIL64
2:  TRAPPED64 14, 1, pops_at
    FRAME_AC 0
    dec r14d
    jnz 1b
    # The carry goes through both.
    mov ecx, HOT
    xor r9d, r9d
    call carries
    EQ64 r9, HOT
    # An interrupt while it is open, whose handler closes, and IRET opens again
    GATE64 0x81, closer
    mov ecx, HOT
    xor r9d, r9d
    call interrupted
    EQ64 r9, 0
    # Without SMAP: AC, and nothing else
    SMAP_OFF
    mov ecx, HOT
    xor r8d, r8d
    xor r9d, r9d
    call copies
    EQ64 r8, HOT
    EQ64 r9, 0
    mov ecx, HOT
    xor ebx, ebx
    call maybe
    # And with it again
    SMAP_ON
    EXPECT64 2f
    mov ecx, WARM
    call maybe
    FAIL64
2:  TRAPPED64 14, 1, maybe_at
    # CPL 1 is a supervisor, too, and may not do what is CPL 0's.
    DESCRIPTOR 0, 0, 0xfffff, 0xbb, 0xa
    DESCRIPTOR 1, 0, 0xfffff, 0xb3, 0xc
    mov ecx, HOT
    call masks
    EXPECT64 2f
    mov rax, rsp
    push FREE1+1
    push rax
    push 2
    push FREE0+1
    push offset outer
    mov ecx, WARM
    iretq
2:  TRAPPED64 13, 0, masks
    EQ64 [TRAP_CS], FREE0+1
    mov ecx, HOT
    call opens
    EXPECT64 2f
    mov rax, rsp
    push FREE1+1
    push rax
    push 2
    push FREE0+1
    push offset outer_opens
    mov ecx, WARM
    iretq
2:  TRAPPED64 6, 0, opens
    EQ64 rcx, WARM
    PASS64
outer:
    call masks
    int3
outer_opens:
    call opens
    int3
# The handler of an interrupt: closed until it returns
closer:
    push rax
    clac
    mov rax, [OTHER]
    pushfq
    pop rax
    and eax, EFLAGS_AC
    add r9, rax
    pop rax
    iretq

# Functions: ECX rounds.
copies:
    stac
    mov rax, [PAGE]
    add rax, 1
    mov [PAGE+8], rcx
    add qword ptr [PAGE+8], HOT-1
    mov rdx, [PAGE+8]
    mov [PAGE+8], rdx
    pushfq
    pop rdx
    and edx, EFLAGS_AC
    shr edx, 18
    add r8, rdx
    clac
    inc qword ptr [OTHER]
    pushfq
    pop rdx
    and edx, EFLAGS_AC
    add r9, rdx
    dec ecx
    jnz copies
    ret
maybe:
    test ebx, ebx
    jz 1f
    stac
1:  add rdx, 3
maybe_at:
    mov rax, [PAGE+0x10]
    mov [OTHER+8], rax
    clac
    dec ecx
    jnz maybe
    ret
runs:
    mov edi, PAGE
1:  stac
    mov rax, [rdi]
    mov rdx, [rdi+8]
    clac
run_at:
    mov rsi, [rdi+16]
    mov [rdi+24], rax
    dec ecx
    jnz 1b
    ret
pops:
    mov r8d, 2+EFLAGS_AC
pops_by:
    push r8
    popfq
pops_at:
    mov rdx, [PAGE]
    push 2
    popfq
    inc rax
    dec ecx
    jnz pops_by
    ret
carries:
    mov eax, ecx
    or eax, 1
    neg eax                         # carry
    stac
    adc r9, 0
    cmp eax, eax                    # none
    clac
    adc r9, 0
    dec ecx
    jnz carries
    ret
interrupted:
    stac
    mov rax, [PAGE]
    int 0x81
    mov rax, [PAGE+8]
    clac
    dec ecx
    jnz interrupted
    ret
masks:
    cli
    dec ecx
    jnz masks
    ret
opens:
    stac
    clac
    dec ecx
    jnz opens
    ret
