# Data breakpoints: a trap behind the access, for writes or for reads and writes, of 1, 2, 4 and 8 bytes; any byte of
# the access counts.
# differs: qemu: it watches writes alone
# expect: exit=0x10
.include "long.inc"
.include "debug.inc"
.macro HIT bits, insn:vararg
    EXPECT64 .Lresume\@
    \insn
.Lbehind\@:
    FAIL64
.Lresume\@:
    TRAPPED64 1, 0, .Lbehind\@
    DR6_IS \bits
.endm
main:
    xor eax, eax
    mov dr6, rax
    BREAKPOINT 0, DATA+4, WRITE, LEN4
    HIT 1, mov [DATA+4], ecx
    HIT 1, mov byte ptr [DATA+7], 1
    HIT 1, mov dword ptr [DATA+1], 0x12345678
    mov eax, [DATA+1]
    EQ64 rax, 0x12345678            # the write is done when the trap comes
    HIT 1, inc dword ptr [DATA+4]
    HIT 1, mov qword ptr [DATA], 0
    mov byte ptr [DATA+3], 1
    mov byte ptr [DATA+8], 1
    mov eax, [DATA+4]               # a read is no matter
    BREAKPOINT 1, DATA+0x10, ACCESS, LEN8
    HIT 2, mov rax, [DATA+0x10]
    HIT 2, mov al, [DATA+0x17]
    HIT 2, mov qword ptr [DATA+0x0c], 1
    HIT 2, cmp byte ptr [DATA+0x12], 1
    mov al, [DATA+0x18]
    BREAKPOINT 2, DATA+0x21, WRITE, LEN1
    mov byte ptr [DATA+0x20], 1
    mov byte ptr [DATA+0x22], 1
    HIT 4, mov word ptr [DATA+0x20], 1
    # The address is aligned to the length: the low bits of the register are ignored.
    BREAKPOINT 2, DATA+0x33, WRITE, LEN2
    HIT 4, mov byte ptr [DATA+0x32], 1
    mov byte ptr [DATA+0x34], 1
    # Two at once
    BREAKPOINT 3, DATA+0x32, ACCESS, LEN1
    HIT 0xc, mov byte ptr [DATA+0x32], 1
    # Implicit accesses: the stack
    BREAKPOINTS_OFF
    BREAKPOINT 0, DATA+0x7f8, WRITE, LEN8
    EXPECT64 1f
    mov esp, DATA+0x800
    push rax
behind_push:
    FAIL64
1:  EQ64 [TRAP_VEC], 1
    EQ64 [TRAP_IP], "offset behind_push"
    BREAKPOINTS_OFF
    xor eax, eax
    mov dr6, rax
    # REP: a trap after the iteration that hit
    BREAKPOINT 0, DATA+0x45, WRITE, LEN1
    mov edi, DATA+0x40
    mov ecx, 16
    EXPECT64 1f
stos:
    rep stosb
    FAIL64
1:  EQ64 [TRAP_VEC], 1
    EQ64 [TRAP_IP], "offset stos"
    EQ64 rcx, 10
    DR6_IS 1
    # An access that faults does not trap.
    BREAKPOINTS_OFF
    BREAKPOINT 0, DATA+0x1000, ACCESS, LEN4
    PTE DATA+0x1000, 0
    FAULT64 14, 0, mov eax, [DATA+0x1000]
    mov rax, dr6
    and eax, 0xf
    EQ64 rax, 0
    PASS64
