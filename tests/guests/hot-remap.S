# Hot code whose page is mapped to another frame: with INVLPG, by a load of CR3, by toggling CR4.PGE, by INVPCID; as a
# small, a global and a large page; called and jumped to directly and through registers; with half of a function in the
# page. What ran before never runs again.
# differs: qemu: its software CPU has no PCID, which is part of this
# expect: exit=0x10
.include "long.inc"
.set HOT, 12000
.set OFTEN, 400
.set FRAME1, DATA+0x10000           # two frames with the same functions that return 1 and 2
.set FRAME2, DATA+0x12000
.set ONE, DATA+0x1000               # linear: the page with the function
.set ALIAS, DATA+0x4000             # another address of the same
.set SPLIT, DATA+0x20000            # the first half of a function; the second lies in the next page
.set LARGE, PAGES                   # 2 MiB, and the next one
.set F, 0x100                       # MOV EAX, n; RET
.set G, 0x200                       # the same behind a jump from another page
.set E1, PT_LOW+((ONE)>>12)*8
.set E2, PT_LOW+((ALIAS)>>12)*8
.set ESPLIT, PT_LOW+((SPLIT+0x1000)>>12)*8
.set TREE2, TABLES                  # a second address space: PML4, PDPT, PD, PT
.macro FRAME at, n
    mov byte ptr [\at+F], 0xb8
    mov dword ptr [\at+F+1], \n
    mov byte ptr [\at+F+5], 0xc3
    mov byte ptr [\at+G], 0xb8
    mov dword ptr [\at+G+1], \n
    mov byte ptr [\at+G+5], 0xc3
    # The end of a function that begins 2 bytes before this page: the rest of MOV EAX, n << 8, and RET
    mov dword ptr [\at], \n+0xc3000000
.endm
# Calls in all ways; all must give R12.
.macro ALL
    call ONE+F
    EQ64 rax, r12
    call through
    EQ64 rax, r12
    mov esi, ONE+F
    call rsi
    EQ64 rax, r12
    call SPLIT+0xffe
    shr eax, 8
    EQ64 rax, r12
.endm
# Hot first, then changed often.
.macro TORTURE change:req, hot=HOT
    mov r15d, \hot
.Lhot\@:
    call all
    dec r15d
    jnz .Lhot\@
    mov r14d, OFTEN
.Loften\@:
    xor r12d, 3
    \change
    mov r15d, 8
.Lfew\@:
    call all
    dec r15d
    jnz .Lfew\@
    dec r14d
    jnz .Loften\@
.endm
main:
    FRAME FRAME1, 1
    FRAME FRAME2, 2
    mov byte ptr [SPLIT+0xffe], 0xb8
    mov byte ptr [SPLIT+0xfff], 0
    mov r12d, 1
    mov r11d, P_+RW
    call set_frames
    mov rax, cr3
    mov cr3, rax
    TORTURE "call by_invlpg"
    TORTURE "call by_cr3"
    # Global pages: loading CR3 does not drop them, INVLPG and toggling PGE do.
    mov rax, cr4
    or eax, 0x80
    mov cr4, rax
    mov r11d, P_+RW+G_
    call by_invlpg
    TORTURE "call by_invlpg"
    TORTURE "call by_pge"
    mov r11d, P_+RW
    call by_invlpg
    # A second address space in which it is the other way round
    call second_tree
    mov r15d, HOT
1:  mov eax, PML4
    mov cr3, rax
    mov r12d, 1
    call all
    mov eax, TREE2
    mov cr3, rax
    mov r12d, 2
    call all
    dec r15d
    jnz 1b
    # With PCIDs, kept across the loads
    mov eax, PML4
    mov cr3, rax
    mov rax, cr4
    bts eax, 17
    mov cr4, rax
    mov r15d, HOT
    mov r8, (1<<63)+PML4+1
    mov r9, (1<<63)+TREE2+2
1:  mov cr3, r8
    mov r12d, 1
    call all
    mov cr3, r9
    mov r12d, 2
    call all
    dec r15d
    jnz 1b
    # INVPCID: an address, a context, all
    mov cr3, r8
    mov r12d, 1
    TORTURE "call by_invpcid0", 1000
    TORTURE "call by_invpcid1", 1000
    TORTURE "call by_invpcid2", 1000
    # The other context is changed behind its back, and dropped by its number.
    mov r15d, 2000
    mov r14d, 2
1:  mov cr3, r9
    mov r12d, r14d
    call all
    mov cr3, r8
    xor r14d, 3
    mov r12d, r14d
    call set_frames_of_tree2
    mov qword ptr [RESULTS], 2      # PCID
    mov eax, 1
    invpcid rax, [RESULTS]
    dec r15d
    jnz 1b
    mov cr3, r8
    mov rax, PML4
    mov cr3, rax
    mov rax, cr4
    btr eax, 17
    mov cr4, rax
    call large
    PASS64

all:
    ALL
    ret
# A jump from this page into that one
    .balign 64
through:
    jmp ONE+G

# The frame for R12, with the flags of R11
set_frames:
    mov eax, FRAME1
    cmp r12d, 1
    je 1f
    mov eax, FRAME2
1:  or eax, r11d
    mov [E1], rax
    mov [E2], rax
    mov [ESPLIT], rax
    ret
set_frames_of_tree2:
    mov eax, FRAME1
    cmp r12d, 1
    je 1f
    mov eax, FRAME2
1:  or eax, P_+RW
    mov [TREE2+0x3000+((ONE)>>12)*8], rax
    mov [TREE2+0x3000+((SPLIT+0x1000)>>12)*8], rax
    ret
by_invlpg:
    call set_frames
    invlpg [ONE]
    invlpg [ALIAS]
    invlpg [SPLIT+0x1000]
    ret
by_cr3:
    call set_frames
    mov rax, cr3
    mov cr3, rax
    ret
by_pge:
    call set_frames
    mov rax, cr4
    btr eax, 7
    mov cr4, rax
    bts eax, 7
    mov cr4, rax
    ret
by_invpcid0:
    call set_frames
    mov qword ptr [RESULTS], 1      # PCID
    xor ecx, ecx
    .irp page, ONE, ALIAS, SPLIT+0x1000
    mov qword ptr [RESULTS+8], \page
    invpcid rcx, [RESULTS]
    .endr
    ret
by_invpcid1:
    mov ecx, 1
    jmp 1f
by_invpcid2:
    mov ecx, 2
1:  call set_frames
    mov qword ptr [RESULTS], 1
    mov qword ptr [RESULTS+8], 0
    cmp ecx, 2
    jne 1f
    mov qword ptr [RESULTS], 0
1:  invpcid rcx, [RESULTS]
    ret

second_tree:
    mov r12d, 1
    call by_invlpg
    mov esi, PML4
    mov edi, TREE2
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
    mov qword ptr [TREE2], TREE2+0x1000+P_+RW+US
    mov qword ptr [TREE2+0x1000], TREE2+0x2000+P_+RW+US
    mov qword ptr [TREE2+0x2000], TREE2+0x3000+P_+RW+US
    mov r12d, 2
    jmp set_frames_of_tree2

# The same with a page of 2 MiB
large:
    mov esi, FRAME1
    mov edi, LARGE
    mov ecx, 512
    rep movsq
    mov esi, FRAME2
    mov edi, LARGE+0x200000
    mov ecx, 512
    rep movsq
    mov r15d, HOT
    mov r12d, 1
1:  call LARGE+F
    EQ64 rax, r12
    dec r15d
    jnz 1b
    mov r14d, OFTEN
2:  xor r12d, 3
    mov eax, LARGE+P_+RW+PS
    cmp r12d, 1
    je 3f
    add eax, 0x200000
3:  mov [PD_LOW+8], rax
    invlpg [LARGE+0x100000]
    mov r15d, 8
4:  call LARGE+F
    EQ64 rax, r12
    dec r15d
    jnz 4b
    dec r14d
    jnz 2b
    ret
