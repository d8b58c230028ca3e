# IRET in hot loops, to CPL 3 and at CPL 0: registers, flags, stacks and selectors are exact each time. Frames that are not
# simple ones, descriptors, STAR, the GDT and user pages that change, interrupts and NMIs that wait, and breakpoints come
# out as they should.
# differs: qemu: it takes an RIP that is not canonical and code with both L and D, and marks no descriptor as accessed
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
.include "apic.inc"
.include "debug.inc"
.set HOT, 6000
.set WARM, 100
.set TIMES, 40
.set COUNT, DATA                    # of calls
.set FLAGS_IN, DATA+8               # ORed over the calls
.set SEEN, DATA+16                  # what handlers find that is not as it should be
.set STACK, DATA+24                 # main's
.set USER_SP, DATA+32
.set PLACE, DATA+40                 # where an interrupt has to come
.set GDT, DATA+0x1000               # a table in a page without code
.set GDT2, DATA+0x2000              # another one
.set EDGE, DATA+0x3000              # where a frame crosses pages
.set ALIAS, DATA+0x8000             # a second version of the user's page

# Goes to a label by a frame and the one hot IRET; comes back behind with the next trap.
.macro ENTER label, flags=2, ss=UDATA, sp=USER_STACK, cs=UCODE64
    EXPECT64 .Lback\@
    push \ss
    push \sp
    push \flags
    push \cs
    push offset \label
    jmp leave
.Lback\@:
.endm
# The same; the IRET must raise an exception.
.macro REFUSED vector, error, flags=2, ss=UDATA, sp=USER_STACK, cs=UCODE64
    ENTER user_end, \flags, \ss, \sp, \cs
    TRAPPED64 \vector, \error, leave
    EQ64 [TRAP_CS], KCODE64
    lea rax, [rsp-40]
    EQ64 [TRAP_SP], rax
.endm
# The same, and it must get there.
.macro ENTERED flags=2, ss=UDATA, sp=USER_STACK, cs=UCODE64, seen=UCODE64
    ENTER user_end, \flags, \ss, \sp, \cs
    TRAPPED64 0x80, 0, user_end+2
    EQ64 [TRAP_CS], \seen
    EQ64 [TRAP_SS], \ss
    EQ64 [TRAP_SP], \sp
.endm
# On at CPL 0; clobbers RDX.
.macro INSIDE flags=2, ss=KDATA, cs=KCODE64
    mov rdx, rsp
    push \ss
    push rdx
    push \flags
    push \cs
    push offset .Linside\@
    jmp leave
.Linside\@:
.endm
# Calls at 0x81 from CPL 3, which a handler answers.
.macro CALLS handler, times, user=user, flags=2
    GATE64 0x81, \handler, 0xee
    mov r15d, \times
    ENTER \user, \flags
    EQ64 [TRAP_VEC], 0x80
    EQ64 r15, 0
.endm
.macro COUNTS times
    EQ64 [COUNT], \times
    mov qword ptr [COUNT], 0
    EQ64 [SEEN], 0
.endm
.macro FLAGS value
    push \value
    popfq
.endm
main:
    APIC_ENABLE
    SYSCALL_ON entry
    mov esi, offset gdt
    mov edi, GDT
    mov ecx, 16
    rep movsq
    lgdt [gdt1_pointer]
    # There and back again
    CALLS answer, HOT
    COUNTS HOT
    EQ64 [FLAGS_IN], 0x46           # the user's arithmetic flags, without IF
    CALLS answer, HOT, user, 0x202
    COUNTS HOT
    EQ64 [FLAGS_IN], 0x46
    mov rax, [TRAP_FLAGS]
    and eax, 0x200
    EQ64 rax, 0x200
    # At CPL 0
    mov r15d, HOT
    call selves
    COUNTS HOT
    # A handler's own exception, with a null SS; calls that never return; by SYSRET one way, and by SYSCALL the other
    GATE64 6, skip
    CALLS nested, HOT
    COUNTS HOT*2
    CALLS deep, HOT, user_deep
    COUNTS HOT*2
    CALLS by_sysret, HOT
    COUNTS HOT
    CALLS by_sysret, HOT, user_syscalls
    COUNTS HOT
    # At CPL 3
    CALLS answer, HOT, user_selves
    # Data segments of CPL 0 go, and those of CPL 3 stay.
    CALLS with_data, WARM, user_data
    CALLS answer, WARM, user_keeps
    GATE64 6, vectors64+6*8

    mov [STACK], rsp
    mov r14d, TIMES
often:
    mov qword ptr [COUNT], 0
    mov r15d, WARM
    call selves
    CALLS answer, WARM
    COUNTS WARM*2
    call flags
    CALLS answer, WARM
    call frames
    CALLS answer, WARM
    call selectors
    CALLS answer, WARM
    call descriptors
    call tables
    CALLS answer, WARM
    call breakpoints
    dec r14d
    jnz often
    mov qword ptr [COUNT], 0

    # An interrupt that waits comes at the first instruction with IF, an NMI behind the IRET of the one before.
    GATE64 0x40, tick
    mov qword ptr [PLACE], offset user_behind
    CALLS sends, WARM, user, 0x202
    COUNTS WARM
    mov r15d, WARM
    call interrupted
    COUNTS WARM
    GATE64 2, nmi
    mov r15d, WARM
    call nmis
    COUNTS WARM*2
    # A handler that makes the user's page another one
    mov esi, offset pages
    mov edi, ALIAS
    mov ecx, 512
    rep movsq
    mov byte ptr [ALIAS+adds_byte-pages], 7
    CALLS remapping, HOT, user_pages
    EQ64 r12, HOT/2*5+HOT/2*7       # what each page's code added
    PASS64

# Flags that are seldom
flags:
    ENTER user_nop, 0x102           # TF traps behind one instruction.
    TRAPPED64 1, 0, user_nop+1
    EQ64 [TRAP_CS], UCODE64
    ENTER user_flags, 0x247402      # ID, AC, NT, IOPL, DF
    EQ64 [TRAP_VEC], 0x80
    EQ64 r13, 0x247402
    ENTER user_flags, 0x30ad7       # VM is ignored, RF ends.
    EQ64 [TRAP_VEC], 0x80
    EQ64 r13, 0xad7
    INSIDE 0x247402
    pushfq
    pop r13
    FLAGS 2
    EQ64 r13, 0x247402
    INSIDE 0x308d7
    pushfq
    pop r13
    EQ64 r13, 0x8d7
    FLAGS 0x4002                    # NT: #GP
    REFUSED 13, 0
    FLAGS 0x40402                   # AC and DF before
    ENTER user_flags
    EQ64 r13, 2
    FLAGS 0x40402
    INSIDE
    pushfq
    pop r13
    EQ64 r13, 2
    ret

# Frames across pages, and addresses
frames:
    mov rsp, EDGE+0x1000+24
    ENTERED
    INSIDE
    # The second page is not there.
    push UDATA
    push USER_STACK
    push 2
    push UCODE64
    push offset user_end
    PTE EDGE+0x1000, 0
    mov qword ptr [TRAP_RESUME], offset 1f
    mov rax, [STACK]
    sub rax, 8
    mov [TRAP_RESUME_SP], rax
    jmp leave
1:  TRAPPED64 14, 0, leave
    EQ64 [TRAP_CR2], EDGE+0x1000
    EQ64 [TRAP_SP], EDGE+0x1000-16
    PTE EDGE+0x1000, EDGE+0x1000+P_+RW
    # RIP that is not canonical, to either privilege: #GP. Of CPL 3 in the upper half: there. RSP may be anything.
    mov rbx, 0x800000000000
    EXPECT64 1f
    push UDATA
    push USER_STACK
    push 2
    push UCODE64
    push rbx
    jmp leave
1:  TRAPPED64 13, 0, leave
    EQ64 [TRAP_CS], KCODE64
    EXPECT64 1f
    mov rdx, rsp
    push KDATA
    push rdx
    push 2
    push KCODE64
    push rbx
    jmp leave
1:  TRAPPED64 13, 0, leave
    EQ64 [TRAP_CS], KCODE64
    EXPECT64 1f
    push UDATA
    push USER_STACK
    push 2
    push UCODE64
    mov rax, 0xffff800000001000
    push rax
    jmp leave
1:  EQ64 [TRAP_VEC], 14
    mov rax, 0xffff800000001000
    EQ64 [TRAP_IP], rax
    EQ64 [TRAP_CR2], rax
    EQ64 [TRAP_ERR], 4
    EQ64 [TRAP_CS], UCODE64
    ENTERED 2, UDATA, rbx
    ret

# Selectors
selectors:
    REFUSED 13, KDATA, 2, KDATA
    REFUSED 13, 0x28, 2, UDATA, USER_STACK, UCODE64-3
    REFUSED 13, 0, 2, UDATA, USER_STACK, 3
    ENTERED 2, UDATA64
    ENTERED 2, UDATA, USER_STACK, UCODE32, UCODE32
    ENTERED 2, UDATA, USER_STACK, 0x12340000+UCODE64
    # A null SS at CPL 0, and back
    INSIDE 2, 0
    mov eax, ss
    EQ64 rax, 0
    INSIDE 2, 0
    mov eax, ss
    EQ64 rax, 0
    INSIDE 2, KDATA
    mov eax, ss
    EQ64 rax, KDATA
    ret

# Descriptors that are others than before
descriptors:
    and byte ptr [GDT+0x28+5], 0x7f # not present
    REFUSED 11, 0x28
    mov byte ptr [GDT+0x28+5], 0xfb
    ENTERED
    mov byte ptr [GDT+0x20+5], 0xf1 # not writable
    REFUSED 13, 0x20
    mov byte ptr [GDT+0x20+5], 0xf3
    mov byte ptr [GDT+0x28+6], 0xef # L and D
    REFUSED 13, 0x28
    mov byte ptr [GDT+0x28+6], 0xaf
    mov byte ptr [GDT+0x28+5], 0xfa # not accessed
    mov byte ptr [GDT+0x20+5], 0xf2
    ENTERED
    cmp byte ptr [GDT+0x28+5], 0xfb
    jne wrong
    cmp byte ptr [GDT+0x20+5], 0xf3
    jne wrong
    mov byte ptr [GDT+0x8+5], 0x9a
    mov byte ptr [GDT+0x10+5], 0x92
    INSIDE
    cmp byte ptr [GDT+0x8+5], 0x9b
    jne wrong
    cmp byte ptr [GDT+0x10+5], 0x93
    jne wrong
    ret

# Another GDT, and other selectors in STAR
tables:
    mov esi, GDT
    mov edi, GDT2
    mov ecx, 16
    rep movsq
    lgdt [gdt2_pointer]
    ENTERED
    INSIDE
    mov byte ptr [GDT2+0x28+5], 0x7b
    REFUSED 11, 0x28
    lgdt [gdt1_pointer]
    ENTERED
    lgdt [short_pointer]
    REFUSED 13, 0x28
    lgdt [gdt1_pointer]
    ENTERED
    MSR MSR_STAR, 0, KCODE64+((UDATA-8)<<16)
    ENTERED
    MSR MSR_STAR, 0, KCODE32+(UDATA<<16)
    ENTERED
    INSIDE
    MSR MSR_STAR, 0, KCODE64+(UCODE32<<16)
    ENTERED
    ret

# Breakpoints on what IRET returns to: RF in the frame holds them off once.
breakpoints:
    BREAKPOINT 0, "offset user_nop", EXEC, LEN1
    ENTER user_nop
    TRAPPED64 1, 0, user_nop
    ENTER user_nop, 0x10002
    EQ64 [TRAP_VEC], 0x80
    BREAKPOINTS_OFF
    ENTER user_nop
    EQ64 [TRAP_VEC], 0x80
    ret

# At CPL 0, R15 times
selves:
    mov edi, 0x1234567
    mov ebx, ss
    cmp edi, edi
    mov rdx, rsp
    push rbx
    push rdx
    pushfq
    push KCODE64
    push offset 1f
    jmp leave
1:  jne wrong
    cmp rdx, rsp
    jne wrong
    mov eax, ss
    cmp eax, ebx
    jne wrong
    cmp edi, 0x1234567
    jne wrong
    inc qword ptr [COUNT]
    dec r15d
    jnz selves
    ret
interrupted:
    SELF_IPI 0x40
    mov qword ptr [PLACE], offset 1f
    mov rdx, rsp
    push KDATA
    push rdx
    push 0x202
    push KCODE64
    push offset 1f
    jmp leave
1:  cli
    dec r15d
    jnz interrupted
    ret
nmis:
    xor ebx, ebx
    call send_nmi
    EQ64 rbx, 0
    dec r15d
    jnz nmis
    ret
send_nmi:
    APIC_WRITE APIC_ICR_HIGH, 0
    APIC_WRITE APIC_ICR, 0x4400
    mov ecx, 100
1:  loop 1b
    ret
wrong:
    FAIL64

# Handlers
answer:
    pushfq
    pop rax
    or [FLAGS_IN], rax
    inc qword ptr [COUNT]
leave:
    iretq
nested:
    ud2
    mov eax, ss
    or [SEEN], rax
    inc qword ptr [COUNT]
    jmp leave
skip:
    mov rax, [rsp+32]               # SS
    or [SEEN], rax
    add qword ptr [rsp], 2
    inc qword ptr [COUNT]
    jmp leave
deep:
    call deeper
deeper:
    call deepest
    inc qword ptr [COUNT]
    add rsp, 8
    jmp leave
deepest:
    inc qword ptr [COUNT]
    ret
by_sysret:
    inc qword ptr [COUNT]
    mov rcx, [rsp]
    mov r11, [rsp+16]
    mov rsp, [rsp+24]
    sysretq
entry:
    mov [USER_SP], rsp
    mov esp, BOOT_STACK-0x1000
    push UDATA
    push [USER_SP]
    push r11
    push UCODE64
    push rcx
    inc qword ptr [COUNT]
    jmp leave
with_data:
    mov eax, KDATA
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    jmp leave
sends:
    SELF_IPI 0x40
    jmp leave
tick:
    mov rax, [rsp]
    xor rax, [PLACE]
    or [SEEN], rax
    inc qword ptr [COUNT]
    APIC_EOI_NOW
    jmp leave
nmi:
    inc qword ptr [COUNT]
    xor ebx, 1
    jz leave
    push rcx
    push rdx
    call send_nmi                   # waits for this one's IRET
    pop rdx
    pop rcx
    xor eax, eax
    test ebx, ebx
    setz al
    or [SEEN], rax
    jmp leave
remapping:
    mov eax, offset pages
    shr eax, 12
    mov edx, offset pages
    xor edx, ALIAS
    xor [PT_LOW+rax*8], edx
    invlpg [pages]
    jmp leave

.data
.balign 8
gdt1_pointer:
    .word 0x7f
    .quad GDT
gdt2_pointer:
    .word 0x7f
    .quad GDT2
short_pointer:
    .word 0x27
    .quad GDT

.section .user, "ax"
user:
    mov edi, 0x1234567
    cmp edi, edi                    # flags: ZF, PF
    int 0x81
user_behind:
    jne user_wrong
    cmp rsp, USER_STACK
    jne user_wrong
    cmp edi, 0x1234567
    jne user_wrong
    mov eax, ss
    cmp eax, UDATA
    jne user_wrong
    dec r15d
    jnz user
user_end:
    int 0x80
user_wrong:
    ud2
user_nop:
    nop
    int 0x80
user_flags:
    pushfq
    pop r13
    int 0x80
user_deep:
    call user_calls
    dec r15d
    jnz user_deep
    int 0x80
user_calls:
    call user_int
    ret
user_int:
    int 0x81
    ret
user_syscalls:
    mov edi, edi
    cmp edi, edi
    syscall
    jne user_wrong
    dec r15d
    jnz user_syscalls
    int 0x80
user_selves:
    mov rdx, rsp
    mov eax, ss
    push rax
    push rdx
    pushfq
    mov eax, cs
    push rax
    push offset 1f
    iretq
1:  cmp rsp, USER_STACK
    jne user_wrong
    dec r15d
    jnz user_selves
    int 0x80
user_data:
    int 0x81
    mov eax, ds
    mov edx, es
    or edx, eax
    mov eax, fs
    or edx, eax
    mov eax, gs
    or edx, eax
    jnz user_wrong
    dec r15d
    jnz user_data
    int 0x80
user_keeps:
    mov eax, UDATA
    mov ds, eax
    mov fs, eax
    int 0x81
    mov eax, ds
    cmp eax, UDATA
    jne user_wrong
    mov eax, fs
    cmp eax, UDATA
    jne user_wrong
    dec r15d
    jnz user_keeps
    int 0x80
.balign 4096
pages:
user_pages:
    xor r12d, r12d
1:  int 0x81
    .byte 0x49, 0x83, 0xc4          # add r12, 5
adds_byte:
    .byte 5
    dec r15d
    jnz 1b
    int 0x80
.balign 4096
.text
