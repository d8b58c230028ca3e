# Indirect calls and jumps of hot code that lead to one place for long, then elsewhere: to another function, to code that
# was changed, mapped to another frame by INVLPG and by a load of CR3, or lies elsewhere in another address space; to no
# page, and to an address that is not canonical. At CPL 3 and 0. What was there before never runs again.
# differs: qemu: the fault of a call to an address that is not canonical is the target's there
# expect: exit=0x10
.include "long.inc"
.set HOT, 12000
.set FEW, 6
.set OFTEN, 300
.set CODE, DATA+0x20000             # linear: the loop
.set PAGE, DATA+0x22000             # the page with the functions
.set SLOT, DATA+0x24000             # the address that the loop calls
.set FRAME1, DATA+0x10000           # two frames for the page: functions that return n and n + 0x100
.set FRAME2, DATA+0x12000
.set F, 0x100
.set G, 0x240
.set NOWHERE, DATA+0x26000
.set CRUEL, 1<<62                   # not canonical
.set ENDING, 26                     # where the loop's last instruction is
.set TREE2, TABLES                  # a second address space: PML4, PDPT, PD, PT
.set MAPPED, P_+RW+US
.set ENTRY, PT_LOW+(PAGE>>12)*8
.set ENTRY2, TREE2+0x3000+(PAGE>>12)*8
.macro FUNCTION at, n
    mov byte ptr [\at], 0xb8            # MOV EAX, n; RET
    mov dword ptr [\at+1], \n
    mov byte ptr [\at+5], 0xc3
.endm
.macro FRAME at, n
    FUNCTION \at+F, \n
    FUNCTION \at+G, \n+0x100
.endm
# The loop at `level`, so many times, must have got R12D from each of its three calls.
.macro RUN level, rounds
    mov ecx, \rounds
    mov esi, SLOT
    xor ebx, ebx
    .if \level == 3
    USER64 CODE
    EQ64 [TRAP_VEC], 0x80
    .else
    mov eax, CODE
    call rax
    .endif
    imul eax, r12d, \rounds*3
    EQ64 rbx, rax
.endm
.macro TORTURE level:req, change:req
    RUN \level, HOT
    mov r14d, OFTEN
.Loften\@:
    \change
    RUN \level, FEW
    dec r14d
    jnz .Loften\@
.endm
.macro ALL level
    mov r12d, 1
    call by_invlpg
    TORTURE \level, "call by_pointer"
    RUN \level, HOT
    TORTURE \level, "call by_invlpg"
    TORTURE \level, "call by_cr3"
    TORTURE \level, "call by_change"
    # The other address space has the other frame.
    FRAME FRAME1, 1
    FRAME FRAME2, 2
    mov qword ptr [SLOT], PAGE+F
    mov r12d, 2
    mov r14d, HOT
.Lspaces\@:
    mov eax, TREE2
    xor r12d, 3
    call frame
    mov [ENTRY2], rdx
    mov cr3, rax
    RUN \level, FEW
    mov eax, PML4
    xor r12d, 3
    mov cr3, rax
    RUN \level, FEW
    dec r14d
    jnz .Lspaces\@
    RUN \level, HOT
.endm
main:
    PTE CODE, CODE+MAPPED
    PTE SLOT, SLOT+MAPPED
    mov esi, offset template
    mov edi, CODE
    mov ecx, ENDING+2
    rep movsb
    movzx eax, word ptr [CODE+ENDING]
    EQ64 rax, 0x80cd
    FRAME FRAME1, 1
    FRAME FRAME2, 2
    mov qword ptr [SLOT], PAGE+F
    call second_tree
    ALL 3
    # Nothing is there: the target's fault, behind a call that is done.
    mov qword ptr [SLOT], NOWHERE
    mov ecx, 1
    mov esi, SLOT
    USER64 CODE
    EQ64 [TRAP_VEC], 14
    EQ64 [TRAP_IP], NOWHERE
    EQ64 [TRAP_CR2], NOWHERE
    EQ64 [USER_STACK-8], CODE+2
    # The loop ends with a return, not with INT 0x80.
    mov word ptr [CODE+ENDING], 0x90c3
    mov qword ptr [SLOT], PAGE+F
    ALL 0
    # No such address: the call's own fault, with nothing pushed.
    mov rax, CRUEL
    mov [SLOT], rax
    mov ecx, 1
    mov esi, SLOT
    EXPECT64 1f
    mov eax, CODE
    mov r15, rsp
    call rax
    FAIL64
1:  EQ64 [TRAP_VEC], 13
    EQ64 [TRAP_ERR], 0
    EQ64 [TRAP_IP], CODE
    sub r15, 8
    EQ64 [TRAP_SP], r15
    PASS64

# The other function of the page, which returns R12 from now on
by_pointer:
    xor qword ptr [SLOT], F^G
    xor r12d, 0x100
    ret
by_invlpg:
    call set_frame
    invlpg [PAGE]
    ret
by_cr3:
    call set_frame
    mov rax, cr3
    mov cr3, rax
    ret
# The function is written anew, with another number.
by_change:
    mov eax, r12d
    inc eax
    movzx r12d, al
    mov [FRAME1+F+1], r12d
    mov [FRAME2+F+1], r12d
    ret
set_frame:
    xor r12d, 3
    call frame
    mov [ENTRY], rdx
    ret
frame:
    mov edx, FRAME1+MAPPED
    test r12d, 1
    jnz 1f
    mov edx, FRAME2+MAPPED
1:  ret
second_tree:
    mov edi, TREE2
    .irp table, PML4, PDPT, PD_LOW, PT_LOW
    mov esi, \table
    mov ecx, 512
    rep movsq
    .endr
    mov qword ptr [TREE2], TREE2+0x1000+MAPPED
    mov qword ptr [TREE2+0x1000], TREE2+0x2000+MAPPED
    mov qword ptr [TREE2+0x2000], TREE2+0x3000+MAPPED
    ret

# Position independent
template:
    call [rsi]
    add ebx, eax
    call 2f
    add ebx, eax
    mov rdi, [rsi]
    call rdi
    add ebx, eax
    dec ecx
    jnz template
    jmp 3f
2:  jmp [rsi]
3:  int 0x80
