# Loops that nothing but the APIC's timer ends: of branches whose target is not known beforehand, jumps by register and by
# memory, returns, and calls of functions that do not return; and of two parts that use different registers most.
# expect: exit=0x10
.include "long.inc"
.include "apic.inc"
.set ROUNDS, 6
.set HERE, 0x280000
.set SLOT, DATA+8

# Bytes of code at an address
.macro CODE at:req, bytes:vararg
    mov edi, \at
    .irp byte, \bytes
    mov byte ptr [rdi], \byte
    inc edi
    .endr
.endm
.macro LOOP at:req
    mov r15d, ROUNDS
.Lagain\@:
    mov eax, offset \at
    lea edx, [rax+0x100]
    mov [SLOT], rax
    mov ebx, SLOT
    xor ecx, ecx
    call until_tick
    cmp rcx, 20
    ja .Lturned\@
    FAIL64
.Lturned\@:
    dec r15d
    jnz .Lagain\@
.endm
main:
    APIC_ENABLE
    GATE64 0x40, tick
    APIC_WRITE APIC_TIMER_DIVIDE, 0xb
    # INC RCX; JMP RAX
    CODE HERE, 0x48, 0xff, 0xc1, 0xff, 0xe0
    LOOP HERE
    # INC RCX; JMP RDX, which is INC RCX; JMP RAX
    CODE HERE, 0x48, 0xff, 0xc1, 0xff, 0xe2
    CODE HERE+0x100, 0x48, 0xff, 0xc1, 0xff, 0xe0
    LOOP HERE
    # INC RCX; JMP [RBX]
    CODE HERE, 0x48, 0xff, 0xc1, 0xff, 0x23
    LOOP HERE
    # INC RCX; PUSH RAX; RET
    CODE HERE, 0x48, 0xff, 0xc1, 0x50, 0xc3
    LOOP HERE
    # INC RCX; MOV RSP, RBP; CALL RAX
    CODE HERE, 0x48, 0xff, 0xc1, 0x48, 0x89, 0xec, 0xff, 0xd0
    LOOP HERE
    LOOP two_parts
    EQ64 [TRAP_COUNT], 0
    PASS64

    .balign 64
two_parts:
    inc rcx
    add rsi, rdi
    jmp 1f
    .balign 64
1:  adc r9, r10
    adc r10, r11
    adc r11, r9
    adc r9, r10
    adc r10, r11
    adc r11, r9
    jmp two_parts

# Jumps to RAX; returns with the first tick.
until_tick:
    mov rbp, rsp
    push rdx
    APIC_WRITE APIC_LVT_TIMER, 0x40
    APIC_WRITE APIC_TIMER_INITIAL, 1000000
    pop rdx
    sti
    jmp rax
# Stack: RIP, CS, RFLAGS, RSP, SS.
tick:
    push rdx
    APIC_EOI_NOW
    pop rdx
    mov qword ptr [rsp], offset ticked
    mov [rsp+24], rbp
    and qword ptr [rsp+16], ~0x200
    iretq
ticked:
    ret
