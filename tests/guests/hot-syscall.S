# SYSCALL and SYSRET in hot loops: registers, flags, privilege and selectors on both sides are exact each time, by what
# exceptions there see; LSTAR, SFMASK, STAR and EFER.SCE count at once; flags, addresses and pages that are not simple
# ones come out as they should; an address space and a user page that are replaced in the handler are replaced.
# differs: qemu: its SYSCALL clears the arithmetic flags whatever the mask says
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
.set HOT, 12000
.set WARM, 100
.set MASK, 0x47700                  # AC, NT, IOPL, DF, IF, TF
.set MASK_ALL, 0x47fd5              # and the arithmetic flags
.set COUNT, DATA                    # of calls
.set FLAGS_IN, DATA+8               # ORed over the calls
.set FLAGS_SAVED, DATA+16
.set USER_SP, DATA+24
.set RETURN, DATA+32                # where to return to when not zero, once
.set EXTRA, DATA+40                 # flags for R11, once
.set LEFT, DATA+48                  # rounds that the user had left
.set CALLS, DATA+56
.set SPACE2, TABLES                 # another PML4 and its tables
.set ALIAS, DATA+0x8000             # a second version of the user's page

.macro COUNTS times
    EQ64 [COUNT], \times
    mov qword ptr [COUNT], 0
.endm
.macro RUN label, times
    mov r15d, \times
    USER64 \label
    EQ64 [TRAP_VEC], 0x80
.endm
main:
    SYSCALL_ON entry, MASK
    RUN user, HOT
    COUNTS HOT
    EQ64 [FLAGS_IN], 0x46           # what LSTAR's code begins with: the user's arithmetic flags
    EQ64 [FLAGS_SAVED], 0x46
    # All flags cleared
    mov qword ptr [FLAGS_IN], 0
    MSR MSR_FMASK, MASK_ALL
    RUN user, HOT
    COUNTS HOT
    EQ64 [FLAGS_IN], 2
    EQ64 [FLAGS_SAVED], 0x46
    MSR MSR_FMASK, MASK
    # An exception in the handler, at CPL 0 with the selectors of STAR
    mov qword ptr [LEFT], 0
1:  MSR MSR_LSTAR, "offset entry"
    RUN user, WARM
    EXPECT64 2f
    MSR MSR_LSTAR, "offset broken"
    mov r15d, WARM
    push UDATA
    push USER_STACK
    push 2
    push UCODE64
    push offset user
    iretq
2:  TRAPPED64 6, 0, broken
    EQ64 [TRAP_CS], KCODE64
    EQ64 [TRAP_SS], KDATA
    EQ64 r15, WARM
    inc qword ptr [LEFT]
    cmp qword ptr [LEFT], 40
    jne 1b
    # An exception of the user's right behind a call
    MSR MSR_LSTAR, "offset entry"
    mov r14d, 40
1:  RUN user, WARM
    mov r15d, WARM
    USER64 user_faults
    TRAPPED64 6, 0, user_fault
    EQ64 [TRAP_CS], UCODE64
    EQ64 [TRAP_SS], UDATA
    EQ64 r15, 0
    dec r14d
    jnz 1b
    # Back to code that is another, and back
    mov qword ptr [COUNT], 0
    mov r14d, 40
1:  RUN user, WARM
    mov qword ptr [RETURN], offset user_end
    RUN user, WARM
    EQ64 r15, WARM
    dec r14d
    jnz 1b
    COUNTS (WARM+1)*40
    # Back to an address that is not canonical: #GP at CPL 0; and to the upper half, where nothing is: #PF at CPL 3
    mov r14d, 40
1:  RUN user, WARM
    mov rax, 0x800000000000
    mov [RETURN], rax
    mov r15d, WARM
    USER64 user
    TRAPPED64 13, 0, back
    EQ64 [TRAP_CS], KCODE64
    mov rax, 0xffff800000001000
    mov [RETURN], rax
    mov r15d, WARM
    USER64 user
    EQ64 [TRAP_VEC], 14
    mov rax, 0xffff800000001000
    EQ64 [TRAP_IP], rax
    EQ64 [TRAP_CR2], rax
    EQ64 [TRAP_ERR], 4
    EQ64 [TRAP_CS], UCODE64
    dec r14d
    jnz 1b
    # Flags that are seldom: TF traps behind the SYSRET, DF, AC, NT and ID arrive
    mov r14d, 40
1:  RUN user, WARM
    mov qword ptr [EXTRA], 0x102
    mov r15d, WARM
    USER64 user
    EQ64 [TRAP_VEC], 1
    EQ64 [TRAP_IP], "offset user_behind"
    mov qword ptr [EXTRA], 0x244402 # ID, AC, NT, DF
    or qword ptr [EXTRA], 0x40000
    mov r15d, WARM
    USER64 user_flags
    EQ64 [TRAP_VEC], 0x80
    EQ64 r13, 0x244402
    dec r14d
    jnz 1b
    # SCE off: #UD at once, and on again
    mov r14d, 40
1:  RUN user, WARM
    mov ecx, MSR_EFER
    rdmsr
    and eax, ~EFER_SCE
    wrmsr
    mov r15d, WARM
    USER64 user
    TRAPPED64 6, 0, user_call
    EQ64 r15, WARM
    mov ecx, MSR_EFER
    rdmsr
    or eax, EFER_SCE
    wrmsr
    dec r14d
    jnz 1b
    # A mask that leaves IF: the handler runs with it
    mov qword ptr [FLAGS_IN], 0
    MSR MSR_FMASK, MASK-0x200
    mov r15d, HOT
    USER64 user, 0x202
    EQ64 [TRAP_VEC], 0x80
    EQ64 [FLAGS_IN], 0x246
    # And one that clears it; SYSRET sets it again
    mov qword ptr [FLAGS_IN], 0
    mov qword ptr [FLAGS_SAVED], 0
    MSR MSR_FMASK, MASK
    mov r15d, HOT
    USER64 user, 0x202
    EQ64 [TRAP_VEC], 0x80
    EQ64 [FLAGS_IN], 0x46
    EQ64 [FLAGS_SAVED], 0x246
    mov rax, [TRAP_FLAGS]
    and eax, 0x200
    EQ64 rax, 0x200
    # Calls deeper than one on both sides, which return to each other's addresses at no time
    MSR MSR_LSTAR, "offset deep"
    mov qword ptr [COUNT], 0
    RUN user_deep, HOT
    COUNTS HOT*3
    # The handler goes to another address space, where the user's page is another
    MSR MSR_LSTAR, "offset switching"
    mov esi, PML4
    mov edi, SPACE2
    call clone
    RUN user_spaces, HOT
    EQ64 r12, HOT/2*5+HOT/2*7       # what each page's code added
    # And makes the user's page another one in the same space, by INVLPG
    MSR MSR_LSTAR, "offset remapping"
    xor r12d, r12d
    RUN user_spaces, HOT
    EQ64 r12, HOT/2*5+HOT/2*7
    PASS64

# Copies four levels down to the user's page, which becomes that at ALIAS with 7 for 5.
clone:
    mov esi, PML4
    mov edi, SPACE2
    mov ecx, 512
    rep movsq
    mov esi, PDPT
    mov ecx, 512
    rep movsq
    mov esi, PD_LOW
    mov ecx, 512
    rep movsq
    mov esi, PT_LOW
    mov ecx, 512
    rep movsq
    mov qword ptr [SPACE2], SPACE2+0x1000+P_+RW+US
    mov qword ptr [SPACE2+0x1000], SPACE2+0x2000+P_+RW+US
    mov qword ptr [SPACE2+0x2000], SPACE2+0x3000+P_+RW+US
    mov eax, offset spaces_page
    shr eax, 12
    mov qword ptr [SPACE2+0x3000+rax*8], ALIAS+P_+RW+US
    mov esi, offset spaces_page
    mov edi, ALIAS
    mov ecx, 512
    rep movsq
    mov byte ptr [ALIAS+adds_byte-spaces_page], 7
    ret

# Handlers
entry:
    mov r9d, cs
    mov r10d, ss
    pushfq                          # on the user's stack
    pop [CALLS]
    mov [USER_SP], rsp
    mov esp, BOOT_STACK-0x1000
    push rax
    mov rax, [CALLS]
    or [FLAGS_IN], rax
    or [FLAGS_SAVED], r11
    inc qword ptr [COUNT]
    cmp r9d, KCODE64
    jne entry_wrong
    cmp r10d, KDATA
    jne entry_wrong
    xor eax, eax
    xchg rax, [RETURN]
    test rax, rax
    jz 1f
    mov rcx, rax
1:  xor eax, eax
    xchg rax, [EXTRA]
    test rax, rax
    jz 1f
    mov r11, rax
1:  pop rax
    mov rsp, [USER_SP]
back:
    sysretq
entry_wrong:
    FAIL64
broken:
    ud2
deep:
    mov [USER_SP], rsp
    mov esp, BOOT_STACK-0x1000
    call deeper
    mov rsp, [USER_SP]
    sysretq
deeper:
    call deepest
    call deepest
    inc qword ptr [COUNT]
    ret
deepest:
    inc qword ptr [COUNT]
    ret
switching:
    mov rdx, cr3
    xor edx, PML4^SPACE2
    mov cr3, rdx
    sysretq
remapping:
    mov eax, offset spaces_page
    shr eax, 12
    mov edx, offset spaces_page
    xor edx, ALIAS
    xor [PT_LOW+rax*8], edx
    invlpg [spaces_page]
    sysretq

.section .user, "ax"
user:
user_loop:
    mov edi, 0x1234567
    cmp edi, edi                    # flags: ZF, PF
user_call:
    syscall
user_behind:
    jne user_wrong
    cmp rcx, offset user_behind
    jne user_wrong
    cmp edi, 0x1234567
    jne user_wrong
    dec r15d
    jnz user_loop
user_end:
    int 0x80
user_wrong:
    ud2
user_faults:
    cmp edi, edi
    syscall
    dec r15d
    jnz user_faults
user_fault:
    ud2
user_flags:
    cmp edi, edi
    syscall
    pushfq
    pop r13
    push 2
    popfq
    int 0x80
user_deep:
    call user_calls
    dec r15d
    jnz user_deep
    int 0x80
user_calls:
    call user_syscall
    ret
user_syscall:
    syscall
    ret
.balign 4096
spaces_page:
user_spaces:
    xor r12d, r12d
spaces_loop:
    syscall
    .byte 0x49, 0x83, 0xc4          # add r12, 5
adds_byte:
    .byte 5
    dec r15d
    jnz spaces_loop
    int 0x80
.balign 4096
.text
