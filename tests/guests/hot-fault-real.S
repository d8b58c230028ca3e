# Faults in the middle of hot blocks of 16-bit code in real mode: segment limits, BOUND, divide
# errors. Frame, flags and registers are exact.
# differs: qemu: it checks no segment limits in real mode
# expect: exit=0x10
.include "real.inc"
.set ROUNDS, 4000
.set V, 0x2000                      # variables
.set VECTOR, V
.set AT, V+2
.set BEHIND, V+4
.set COUNT, V+6
.set AX_, V+8
.set SP_, V+10
.set BX_, V+12
.set FLAGS_, V+14
.set BOUNDS, V+16
.set GOOD, V+0x100
.set small, 0

# DI is GOOD, or 0xFFFF in every other round; CX is 0 or 1 the same way.
.macro HOT vector:req, insn:vararg
    mov word ptr [VECTOR], \vector
    mov word ptr [AT], offset .Lat\@
    mov word ptr [BEHIND], offset .Lbehind\@
    mov word ptr [COUNT], 0
    mov bp, ROUNDS
.Lloop\@:
    imul ax, bp, 0x6d35
    imul dx, bp, 0x1235
    test bp, 4
    jz 1f
    mov dx, ax
    neg dx
1:  mov cx, bp
    and cx, 1
    mov di, GOOD
    jnz 3f
    mov di, 0xffff
3:
    .if small
    and ax, 0xff
    xor dx, dx
    .endif
    mov [AX_], ax
    mov [SP_], sp
    # What comes of it, found out beforehand
    add ax, dx
    pushf
    pop [FLAGS_]
    xchg ax, [AX_]
    jmp .Lblock\@
    .balign 16
.Lblock\@:
    add ax, dx
    mov bx, bp
    lea si, [bx+di+3]
.Lat\@:
    \insn
.Lbehind\@:
    dec bp
    jnz .Lloop\@
    EQ16 [COUNT], ROUNDS/2
.endm
main:
    xor ax, ax
    mov es, ax
    mov word ptr [0*4], offset fault0
    mov word ptr [5*4], offset fault5
    mov word ptr [13*4], offset fault13
    mov word ptr [BOUNDS], GOOD-1
    mov word ptr [BOUNDS+2], GOOD+1
    HOT 13, mov ax, [di]
    HOT 13, mov [di], ax
    HOT 13, adc [di], dx
    HOT 13, lock inc word ptr [di]
    HOT 13, mov eax, es:[di]
    HOT 13, scasw
    HOT 13, stosw
    HOT 13, fld dword ptr [di]
    HOT 5, bound di, [BOUNDS]
    # By zero when CX is; otherwise AX is less than 0x100
    .set small, 1
    HOT 0, div cx
    HOT 0, idiv cx
    EQ16 [TRAP_COUNT], 0
    PASS16

# Stack: IP, CS, FLAGS; SP was just above.
.macro IS actual:req, expected:req
    .set CHECK, CHECK+1
    cmp \actual, \expected
    je .Lgood\@
    push CHECK
    push \expected
    push \actual
    push [AT]
    jmp fail16
.Lgood\@:
.endm
.irp vector, 0, 5, 13
fault\vector:
    mov [BX_], bx
    mov bx, \vector
    jmp fault
.endr
fault:
    inc word ptr [COUNT]
    IS bx, [VECTOR]
    IS ax, [AX_]
    mov bx, sp
    push ax
    mov ax, ss:[bx]
    IS ax, [AT]
    mov ax, ss:[bx+2]
    IS ax, 0
    mov ax, ss:[bx+4]
    xor ax, [FLAGS_]
    and ax, 0xcd5
    IS ax, 0
    lea ax, [bx+6]
    IS ax, [SP_]
    IS bp, [BX_]
    lea ax, [bp+di+3]
    IS ax, si
    mov ax, [BEHIND]
    mov ss:[bx], ax
    pop ax
    mov bx, [BX_]
    iret
