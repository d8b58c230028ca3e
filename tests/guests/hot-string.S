# REP string instructions that fault at a page's end, hot: RSI, RDI and RCX tell how far they have come, flags are those
# from before, the error code and CR2 are those of the element; with the page there, they end as if nothing had been. All
# sizes, both directions, elements across the border.
# differs: qemu: CMPS and SCAS that fault have changed the flags
# expect: exit=0x10
.include "long.inc"
.set ROUNDS, 400
.set COUNT, 40
.set UP, DATA+0x11000               # comes and goes; the page before is there
.set DOWN, DATA+0x21000             # the same, before one that is there
.set GOOD, DATA+0x30800             # the other operand
.set WANT_IP, DATA
.set WANT_SI, DATA+8
.set WANT_DI, DATA+16
.set WANT_CX, DATA+24
.set WANT_CR2, DATA+32
.set WANT_FLAGS, DATA+40
.set WANT_ERROR, DATA+48
.set FAULTS, DATA+56

# One kind: RDI or RSI, `bad`, runs into the page; `good` is the other one, which moves along or (moves=0) stays.
.macro RUN error, size, bad, good, moves, insn:vararg
    mov qword ptr [WANT_ERROR], \error
    mov qword ptr [WANT_IP], offset .Lat\@
    mov qword ptr [FAULTS], 0
    mov r15d, ROUNDS
.Lround\@:
    # Upwards: where to start, and how far that goes
    imul eax, r15d, 5
    xor edx, edx
    mov ecx, 97
    div ecx
    inc edx                         # bytes to the border
    mov e\bad, UP
    sub e\bad, edx
    mov eax, edx
    xor edx, edx
    mov ecx, \size
    div ecx
    mov ebx, eax                    # whole elements
    imul edx, eax, \size
    add edx, e\bad
    cmp ebx, COUNT
    jae .Ldown\@                    # would not fault
    mov [WANT_\bad], rdx
    imul edx, ebx, \size*\moves
    add edx, GOOD
    mov [WANT_\good], rdx
    mov edx, COUNT
    sub edx, ebx
    mov [WANT_CX], rdx
    mov qword ptr [WANT_CR2], UP
    mov e\good, GOOD
    mov ecx, COUNT
    call flags_up
.Lat\@:
    \insn
    call check_end
    mov eax, GOOD+COUNT*\size*\moves
    EQ64 r\good, rax
.Ldown\@:
    imul eax, r15d, 3
    xor edx, edx
    mov ecx, 97
    div ecx
    mov e\bad, DOWN+0x1000
    add e\bad, edx                  # the first element
    mov eax, edx
    xor edx, edx
    mov ecx, \size
    div ecx
    lea ebx, [rax+1]                # whole elements
    cmp ebx, COUNT
    jae .Lnext\@
    imul eax, ebx, \size
    mov edx, e\bad
    sub edx, eax
    mov [WANT_\bad], rdx
    mov [WANT_CR2], rdx
    imul eax, eax, \moves
    mov edx, GOOD
    sub edx, eax
    mov [WANT_\good], rdx
    mov edx, COUNT
    sub edx, ebx
    mov [WANT_CX], rdx
    mov e\good, GOOD
    mov ecx, COUNT
    mov qword ptr [WANT_IP], offset .Lback\@
    call flags_down
.Lback\@:
    \insn
    cld
    call check_end
    mov qword ptr [WANT_IP], offset .Lat\@
.Lnext\@:
    dec r15d
    jnz .Lround\@
    mov rax, [FAULTS]
    shr rax, 8
    setnz al
    movzx eax, al
    EQ64 rax, 1
.endm
.set WANT_si, WANT_SI
.set WANT_di, WANT_DI
main:
    mov qword ptr [TSS+0x24], IST_STACK
    GATE64 14, fault, 0x8e, 1
    cld
    # All bytes equal, so that comparisons go on
    mov edi, DATA+0x10000
    mov ecx, 0x22000
    mov al, 0x5a
    rep stosb
    PTE UP, 0
    PTE DOWN, 0
    RUN 2, 1, di, si, 1, rep movsb
    RUN 2, 2, di, si, 1, rep movsw
    RUN 2, 4, di, si, 1, rep movsd
    RUN 2, 8, di, si, 1, rep movsq
    RUN 0, 1, si, di, 1, rep movsb
    RUN 0, 8, si, di, 1, rep movsq
    RUN 0, 1, di, si, 1, repe cmpsb
    RUN 0, 4, di, si, 1, repe cmpsd
    RUN 0, 2, si, di, 1, repe cmpsw
    RUN 0, 8, si, di, 1, repe cmpsq
    RUN 2, 1, di, si, 0, rep stosb
    RUN 2, 2, di, si, 0, rep stosw
    RUN 2, 4, di, si, 0, rep stosd
    RUN 2, 8, di, si, 0, rep stosq
    RUN 0, 1, di, si, 0, repe scasb
    RUN 0, 8, di, si, 0, repe scasq
    RUN 0, 1, si, di, 0, rep lodsb
    RUN 0, 4, si, di, 0, rep lodsd
    PASS64

# Sets flags by R15, remembers them, and goes on with all bytes 5A in RAX.
flags_down:
    std
    jmp 1f
flags_up:
    cld
1:  mov rdx, 0x5a5a5a5a5a5a5a5a
    imul eax, r15d, 0x9e3779b1
    mov r8d, 0x70000001
    test r15d, 4
    jnz 2f
    mov r8d, eax
    neg r8d
2:  add eax, r8d
    mov rax, rdx
    pushfq
    pop [WANT_FLAGS]
    ret
check_end:
    EQ64 rcx, 0
    PTE UP, 0
    PTE DOWN, 0
    ret

# Stack: error, RIP, CS, RFLAGS, RSP, SS.
fault:
    inc qword ptr [FAULTS]
    push rax
    push rdx
    mov rax, [rsp+24]
    EQ64 rax, [WANT_IP]
    EQ64 rcx, [WANT_CX]
    EQ64 rsi, [WANT_SI]
    EQ64 rdi, [WANT_DI]
    mov rax, [rsp+16]
    EQ64 rax, [WANT_ERROR]
    mov rax, cr2
    EQ64 rax, [WANT_CR2]
    mov rax, [rsp+40]
    mov rdx, [WANT_FLAGS]
    and eax, 0xcd5
    and edx, 0xcd5
    EQ64 rax, rdx
    PTE UP, UP+P_+RW
    PTE DOWN, DOWN+P_+RW
    pop rdx
    pop rax
    add rsp, 8
    iretq
