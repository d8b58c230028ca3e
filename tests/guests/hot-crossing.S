# A hot loop with an instruction that lies across two pages, at CPL 3 and 0, reached by falling into it and by a jump within
# its first page. The second page is mapped to another frame by INVLPG and by a load of CR3, lies elsewhere in another
# address space that shares the first page, is changed where it is, and goes away. What was there before never runs again.
# expect: exit=0x10
.include "long.inc"
.set HOT, 12000
.set FEW, 6
.set OFTEN, 300
.set FIRST, DATA+0x20000            # linear
.set SECOND, FIRST+0x1000
.set ROOM, 0x40                     # bytes of the loop in the first page
.set START, SECOND-ROOM
.set LAST, 9                        # where the loop's end is in the second page
.set FRAME1, DATA+0x10000           # frames for the second page: in them the instruction is MOV EAX, n << 8
.set FRAME2, DATA+0x12000
.set TREE2, TABLES                  # a second address space: PML4, PDPT, PD, PT
.set MAPPED, P_+RW+US
.set ENTRY, PT_LOW+(SECOND>>12)*8
.set ENTRY2, TREE2+0x3000+(SECOND>>12)*8
# The loop at `level`, so many times, must have found R12.
.macro RUN level, rounds
    mov ecx, \rounds
    xor ebx, ebx
    .if \level == 3
    USER64 START
    EQ64 [TRAP_VEC], 0x80
    .else
    mov eax, START
    call rax
    .endif
    imul eax, r12d, \rounds << 8
    EQ64 rbx, rax
.endm
.macro TORTURE level:req, change:req
    RUN \level, HOT
    mov r14d, OFTEN
.Loften\@:
    xor r12d, 3
    \change
    RUN \level, FEW
    dec r14d
    jnz .Loften\@
.endm
.macro ALL level
    call by_invlpg
    TORTURE \level, "call by_invlpg"
    TORTURE \level, "call by_cr3"
    # The other address space has the other frame.
    mov r14d, HOT
.Lspaces\@:
    mov eax, TREE2
    xor r12d, 3
    call other_frame
    mov cr3, rax
    RUN \level, FEW
    mov eax, PML4
    xor r12d, 3
    mov cr3, rax
    RUN \level, FEW
    dec r14d
    jnz .Lspaces\@
    # The instruction's end is changed where it is.
    mov r14d, OFTEN
.Lchanged\@:
    inc r12d
    mov [FRAME1], r12b
    mov [FRAME2], r12b
    imul eax, r12d, 1
    movzx r12d, al
    RUN \level, FEW
    dec r14d
    jnz .Lchanged\@
    mov byte ptr [FRAME1], 1
    mov byte ptr [FRAME2], 2
    mov r12d, 1
    call by_invlpg
    RUN \level, HOT
.endm
main:
    mov esi, offset template
    mov edi, START
    mov ecx, ROOM
    rep movsb
    mov edi, FRAME1
    mov ecx, LAST+2
    rep movsb
    mov esi, FRAME1
    mov edi, FRAME2
    mov ecx, LAST+2
    rep movsb
    movzx eax, byte ptr [FRAME1+LAST]
    EQ64 rax, 0xcd
    mov byte ptr [FRAME1], 1
    mov byte ptr [FRAME2], 2
    PTE FIRST, FIRST+MAPPED
    mov r12d, 1
    call by_invlpg
    call second_tree
    ALL 3
    # Gone: the fault is the instruction's, and CR2 has the second page.
    mov qword ptr [ENTRY], 0
    invlpg [SECOND]
    mov ecx, FEW
    USER64 START
    TRAPPED64 14, 0x4, SECOND-2
    EQ64 [TRAP_CR2], SECOND
    mov byte ptr [FRAME1+LAST], 0xc3    # RET
    mov byte ptr [FRAME2+LAST], 0xc3
    ALL 0
    mov qword ptr [ENTRY], 0
    invlpg [SECOND]
    mov ecx, FEW
    EXPECT64 1f
    mov eax, START
    call rax
    FAIL64
1:  TRAPPED64 14, 0, SECOND-2
    EQ64 [TRAP_CR2], SECOND
    PASS64

# The second page at the frame for R12
by_invlpg:
    call set_frame
    invlpg [SECOND]
    ret
by_cr3:
    call set_frame
    mov rax, cr3
    mov cr3, rax
    ret
set_frame:
    call frame
    mov [ENTRY], rdx
    ret
other_frame:
    call frame
    mov [ENTRY2], rdx
    ret
frame:
    mov edx, FRAME1+MAPPED
    cmp r12d, 1
    je 1f
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

# Position independent: lies so that `across` has its last three bytes in the second page.
template:
    inc edx
    test dl, 1
    jz across
    test dl, 2
    jz 1f
    inc esi
1:  .fill ROOM-2-(.-template), 1, 0x90
across:
    mov eax, 0
    add ebx, eax
    dec ecx
    jnz template
    int 0x80
