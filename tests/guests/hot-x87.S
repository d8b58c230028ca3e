# x87 and MMX in hot loops: the instruction pointer is that of the last non-control instruction wherever a loop is left
# (a page fault in its middle, its end), the stack is as before an instruction that faults; unmasked exceptions wait
# for the next instruction that looks, CR0.TS closes the gate, MMX fills the stack and EMMS empties it.
# differs: qemu: FXSAVE stores no instruction pointer
# expect: exit=0x10
.include "long.inc"
.set ROUNDS, 300
.set AWAY, DATA+0x11000             # a page that is not there
.set AREA, DATA+0x1000              # for FXSAVE
.set ONE, DATA
.set SUM, DATA+8
.set CONTROL, DATA+16
.set MASKED, DATA+24
main:
    mov rax, cr0
    or eax, 0x22                    # NE, MP
    mov cr0, rax
    PTE AWAY, 0
    mov rax, 0x3ff0000000000000
    mov [ONE], rax
    mov word ptr [CONTROL], 0x37b   # division by zero unmasked
    mov word ptr [MASKED], 0x37f
    fninit

    # A store that faults: nothing is popped
    mov r15d, ROUNDS
1:  EXPECT64 3f
    fld qword ptr [ONE]
    fadd st(0), st(0)
last:
    fadd qword ptr [ONE]
    fnstsw ax
    fldcw [MASKED]
2:  fistp dword ptr [AWAY]
3:  EQ64 [TRAP_VEC], 14
    EQ64 [TRAP_IP], "offset 2b"
    EQ64 [TRAP_CR2], AWAY
    fxsave64 [AREA]
    EQ64 [AREA+8], "offset last"
    fistp qword ptr [SUM]
    EQ64 [SUM], 3
    dec r15d
    jnz 1b
    fnstsw ax
    and eax, 0x3fff
    EQ64 rax, 0

    # A load that faults: nothing is pushed
    mov r15d, ROUNDS
1:  EXPECT64 3f
loaded:
    fld1
2:  fld qword ptr [AWAY+8]
3:  EQ64 [TRAP_VEC], 14
    EQ64 [TRAP_IP], "offset 2b"
    fxsave64 [AREA]
    EQ64 [AREA+8], "offset loaded"
    movzx eax, byte ptr [AREA+4]
    EQ64 rax, 0x80
    fstp st(0)
    dec r15d
    jnz 1b

    # At a loop's end
    mov r15d, ROUNDS
    mov qword ptr [SUM], 0
1:  fild qword ptr [SUM]
    fadd qword ptr [ONE]
stored:
    fistp qword ptr [SUM]
    fnstcw [CONTROL+4]
    mov rax, [SUM]
    dec r15d
    jnz 1b
    fxsave64 [AREA]
    EQ64 [AREA+8], "offset stored"
    EQ64 [SUM], ROUNDS

    # Comparisons and conditional moves
    mov r15d, ROUNDS
    xor ebx, ebx
1:  fldz
    fld1
    fcomi st(0), st(1)
    seta al
    movzx eax, al
    add ebx, eax
    fcmovnbe st(0), st(1)           # 0
    fucomip st(0), st(1)
    sete al
    movzx eax, al
    add ebx, eax
    fstp st(0)
    dec r15d
    jnz 1b
    EQ64 rbx, 2*ROUNDS

    # Unmasked exceptions, and masked ones in between
    mov r15d, ROUNDS
1:  fld1
    fldz
    fldcw [CONTROL]
divided:
    fdivp st(1), st
    fnstsw ax
    and eax, 0x8084
    EQ64 rax, 0x8084
    FAULT64 16, 0, fld1
    FAULT64 16, 0, wait
    FAULT64 16, 0, fstp qword ptr [AWAY]
    FAULT64 16, 0, paddb mm0, mm0
    fxsave64 [AREA]
    EQ64 [AREA+8], "offset divided"
    fnclex
    fldcw [MASKED]
    fstp st(0)
    fstp st(0)
    fld1
    fldz
    fdivp st(1), st
    wait
    fstp st(0)
    fnclex
    dec r15d
    jnz 1b
    fninit

    # The gate
    mov r15d, ROUNDS
1:  fld1
    mov rax, cr0
    or eax, 8
    mov cr0, rax
    FAULT64 7, 0, fstp st(0)
    FAULT64 7, 0, wait
    FAULT64 7, 0, movd mm0, eax
    FAULT64 7, 0, emms
    FAULT64 7, 0, fnstsw ax
    clts
    fstp st(0)
    dec r15d
    jnz 1b

    # MMX
    mov r15d, ROUNDS
    mov qword ptr [SUM], 0
1:  movq mm1, [SUM]
    mov eax, 3
    movd mm2, eax
    paddq mm1, mm2
    movq [SUM], mm1
    fxsave64 [AREA]
    movzx eax, byte ptr [AREA+4]
    EQ64 rax, 0xff
    emms
    fxsave64 [AREA]
    movzx eax, byte ptr [AREA+4]
    EQ64 rax, 0
    pinsrw mm3, r15d, 1
    pextrw ebx, mm3, 1
    EQ64 rbx, r15
    EXPECT64 3f
2:  paddb mm3, [AWAY]
3:  EQ64 [TRAP_VEC], 14
    EQ64 [TRAP_IP], "offset 2b"
    emms
    dec r15d
    jnz 1b
    EQ64 [SUM], 3*ROUNDS
    PASS64
