# An execution breakpoint on the instruction behind MOV SS does not hit; one on MOV SS itself does.
# differs: qemu: it does hit
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
main:
    xor eax, eax
    mov dr6, rax
    BREAKPOINT 0, "offset here", EXEC, LEN1
    BREAKPOINT 1, "offset load", EXEC, LEN1
    mov ecx, KDATA
    EXPECT64 1f
load:
    mov ss, ecx
here:
    nop
    FAIL64
1:  TRAPPED64 1, 0, load
    DR6_IS 2
    mov rax, dr7
    and eax, ~4
    mov dr7, rax
    mov ss, ecx
    jmp 2f
2:  mov qword ptr [TRAP_COUNT], 0
    jmp 3f
3:  mov ss, ecx
    nop
    BREAKPOINTS_OFF
    BREAKPOINT 0, "offset there", EXEC, LEN1
    mov ss, ecx
there:
    nop
    EQ64 [TRAP_COUNT], 0
    BREAKPOINTS_OFF
    PASS64
