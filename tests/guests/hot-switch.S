# Interpreters: indirect jumps that mostly lead to one place behind another, by one jump for all or by one for each. Programs
# change, handlers are mapped to other frames, or their code is changed; handlers fault, and look at the flags of the last one.
# expect: exit=0x10
.include "long.inc"
.include "frames.inc"
.set HOT, 3200
.set WARM, 40
.set TIMES, 20
.set VALUE, DATA+0x30000
.set TABLE, DATA+0x31000            # addresses of handlers
.set ABSENT, DATA+0x50000
.set STEP, 0x30000000               # of what carries

.set ONE, 0                         # adds 1 to EBX, and 10
.set TEN, 1
.set STEPS, 2                       # makes a carry now and then
.set CARRY, 3                       # adds it
.set LOADED, 4                      # adds what R8 points to
.set AWAY, 5                        # adds what its code says
.set ROUND, 6                       # goes back R15 times

# Goes to the next handler, with the flags but for those that INC changes.
.macro NEXT
    movzx eax, byte ptr [r12]
    inc r12
    mov rax, [r11+rax*8]
    jmp rax
.endm
# Handlers, each of which ends with `next`; \name\()load is the one that may fault.
.macro HANDLERS name:req, next:vararg
\name\()one:
    add ebx, 1
    \next
\name\()ten:
    lea ebx, [rbx+10]
    \next
\name\()steps:
    add ebp, STEP
    \next
\name\()carry:
    adc ebx, 0
    \next
\name\()load:
    add ebx, [r8]
    \next
\name\()round:
    dec r15d
    jz left
    mov r12, r13
    \next
.endm
# A handler at an address: ADD EBX, n; JMP RDI
.macro HANDLER at, n
    mov word ptr [\at], 0xc381
    mov dword ptr [\at+2], \n
    mov word ptr [\at+6], 0xe7ff
.endm
.macro ENTER code, handler
    mov qword ptr [TABLE+\code*8], offset \handler
.endm
# Runs a program some rounds: EBX has the sum.
.macro RUN rounds:req, program:req
    mov r15d, \rounds
    mov r13d, offset \program
    xor ebx, ebx
    xor ebp, ebp
    call start
.endm
# Checks a sum: so much for each round, and the carries of so many steps in each.
.macro SUM rounds:req, each:req, steps:req
    mov eax, STEP
    mov ecx, \rounds*\steps
    mul rcx
    shr rax, 32
    add eax, \rounds*\each
    EQ64 rbx, rax
.endm

main:
    HANDLER FRAME1+F, 100
    HANDLER FRAME2+F, 200
    MAP FRAME1
    mov dword ptr [VALUE], 1000
    mov r11d, TABLE
    mov r8d, VALUE
    mov qword ptr [PT_LOW+((ABSENT)>>12)*8], 0
    invlpg [ABSENT]

    mov r14d, TIMES
1:  ENTER ONE, shared_one
    ENTER TEN, shared_ten
    ENTER STEPS, shared_steps
    ENTER CARRY, shared_carry
    ENTER LOADED, shared_load
    ENTER ROUND, shared_round
    mov qword ptr [TABLE+AWAY*8], PAGE+F
    mov edi, offset shared
    mov r10d, offset shared_load
    call all
    ENTER ONE, each_one
    ENTER TEN, each_ten
    ENTER STEPS, each_steps
    ENTER CARRY, each_carry
    ENTER LOADED, each_load
    ENTER ROUND, each_round
    mov r10d, offset each_load
    call all
    dec r14d
    jnz 1b
    PASS64

# All that may happen; R10 is the address of what loads.
all:
    RUN HOT, first
    SUM HOT, 1112, 1
    # Other handlers follow.
    RUN HOT, second
    SUM HOT, 2222, 2
    RUN WARM, first
    SUM WARM, 1112, 1
    # One of them is another one.
    mov r9, [TABLE+TEN*8]
    mov rcx, [TABLE+ONE*8]
    mov [TABLE+TEN*8], rcx
    RUN WARM, first
    SUM WARM, 1103, 1
    mov [TABLE+TEN*8], r9
    # Its page has another frame.
    MAP FRAME2
    RUN WARM, first
    SUM WARM, 1212, 1
    RUN HOT, second
    SUM HOT, 2422, 2
    mov qword ptr [E], FRAME1+P_+RW
    mov rax, cr3
    mov cr3, rax
    RUN WARM, second
    SUM WARM, 2222, 2
    # Its code is another one.
    mov dword ptr [PAGE+F+2], 500
    RUN WARM, first
    SUM WARM, 1512, 1
    mov dword ptr [FRAME1+F+2], 100
    RUN WARM, second
    SUM WARM, 2222, 2
    # It faults, and goes on.
    mov r8d, ABSENT
    EXPECT64 faulted
    RUN WARM, first
    FAIL64
faulted:
    EQ64 [TRAP_VEC], 14
    EQ64 [TRAP_ERR], 0
    EQ64 [TRAP_IP], r10
    EQ64 [TRAP_CR2], ABSENT
    EQ64 r15, WARM
    EQ64 rbx, 112
    EQ64 rbp, STEP
    mov eax, offset first+7
    EQ64 r12, rax
    mov r8d, VALUE
    RUN WARM, first
    SUM WARM, 1112, 1
    ret

start:
    mov r12, r13
    NEXT
left:
    ret
shared:
    NEXT
HANDLERS shared_, jmp shared
HANDLERS each_, NEXT

first:
    .byte ONE, STEPS, CARRY, TEN, AWAY, ONE, LOADED, ROUND
second:
    .byte TEN, AWAY, ONE, STEPS, CARRY, LOADED, AWAY, TEN, STEPS, CARRY, ONE, LOADED, ROUND
