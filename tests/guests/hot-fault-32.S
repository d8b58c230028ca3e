# Page faults and segment limits in the middle of hot blocks of 32-bit code: frame and registers are exact,
# the restart leaves nothing done twice.
# differs: qemu: reads before it writes, so a read-modify-write of an absent page faults as a read
# expect: exit=0x10
.include "prot.inc"
.include "page32.inc"
.set ROUNDS, 2000
.set GOOD, DATA+0x1000
.set ABSENT, DATA+0x3000
.set READ_ONLY, DATA+0x5000         # GOOD's frame
.set VECTOR, DATA
.set ERROR, DATA+4
.set AT, DATA+8
.set FLAGS, DATA+12
.set EAX_, DATA+16
.set SP_, DATA+20
.set COUNT, DATA+24
.set SUM, DATA+28
.set FIRST, DATA+32
.set BAD, DATA+36                   # 1 in the second run
.set BODY, DATA+40
.set AX_BEFORE, DATA+44
.set way, 0

.macro HOT vector:req, error:req, insn:vararg
    mov dword ptr [VECTOR], \vector
    mov dword ptr [ERROR], \error
    mov dword ptr [AT], offset .Lat\@
    mov dword ptr [BODY], offset .Lbody\@
    call both
    jmp .Lover\@
    .balign 16
.Lbody\@:
    .if way
    add eax, edx
    .else
    sub eax, edx
    .endif
    mov ebx, ebp
    lea esi, [ebp+edx*4+3]
.Lat\@:
    \insn
    jmp next
.Lover\@:
    EQ32 [SUM], [FIRST]
    mov eax, [COUNT]
    shr eax, 8
    setnz al
    movzx eax, al
    EQ32 eax, 1
.endm
main:
    PAGING32
    mov eax, cr0
    or eax, 0x10022                 # WP, NE, MP
    mov cr0, eax
    mov eax, cr4
    or eax, 0x600
    mov cr4, eax
    GATE32 14, page_fault
    GATE32 13, general_fault
    PTE32 ABSENT, 0
    PTE32 READ_ONLY, GOOD+P_
    .irp turn, 0, 1
    .set way, \turn
    HOT 14, 0, mov ecx, [edi]
    HOT 14, 0, movzx ecx, byte ptr [edi+1]
    HOT 14, 0, adc ecx, [edi]
    HOT 14, 0, push [edi]
    HOT 14, 0, fld qword ptr [edi]
    HOT 14, 0, movups xmm0, [edi]
    HOT 14, 2, mov [edi], ecx
    HOT 14, 2, mov word ptr [edi], 0x77
    HOT 14, 2, adc [edi], ecx
    HOT 14, 2, dec byte ptr [edi]
    HOT 14, 2, xchg [edi], ecx
    HOT 14, 2, lock xadd [edi], ecx
    HOT 14, 2, lock cmpxchg8b [edi]
    HOT 14, 2, stosd
    HOT 14, 2, fstp dword ptr [edi]
    HOT 14, 2, movups [edi], xmm0
    .endr
    # ES ends with GOOD's page.
    DESCRIPTOR 0, 0, GOOD>>12, 0x92, 0xc
    mov eax, FREE0
    mov es, eax
    .irp turn, 0, 1
    .set way, \turn
    HOT 13, 0, mov ecx, es:[edi]
    HOT 13, 0, mov es:[edi], ecx
    HOT 13, 0, sbb es:[edi], ecx
    HOT 13, 0, movups xmm0, es:[edi]
    HOT 13, 0, fild dword ptr es:[edi]
    .endr
    EQ32 [TRAP_COUNT], 0
    PASS32

# Both runs: all pointers good, then every other one bad.
both:
    pop [RESULTS]
    mov [SP_], esp
    mov dword ptr [COUNT], 0
    mov dword ptr [BAD], 0
1:  mov dword ptr [GOOD], 0x12345678
    mov dword ptr [GOOD+4], 0x9abcdef0
    mov dword ptr [SUM], 0
    mov ebp, ROUNDS
begin:
    fninit
    fldpi
    imul eax, ebp, 0x9e3779b1
    imul edx, ebp, 0x1234567
    test ebp, 4
    jz 2f
    mov edx, eax
2:  mov edi, GOOD
    mov ecx, ebp
    and ecx, [BAD]
    jz 3f
    mov edi, ABSENT
    cmp dword ptr [ERROR], 2
    jne 3f
    test ebp, 2
    jz 3f
    mov edi, READ_ONLY
3:  mov ecx, ebp
    mov [AX_BEFORE], eax
    jmp [BODY]
next:
    pushfd
    mov esp, [SP_]
    crc32 ecx, dword ptr [SUM]
    crc32 ecx, dword ptr [esp-4]    # the flags, or what PUSH has left
    crc32 ecx, eax
    crc32 ecx, edx
    crc32 ecx, ebx
    crc32 ecx, esi
    crc32 ecx, dword ptr [GOOD]
    crc32 ecx, dword ptr [GOOD+4]
    mov [SUM], ecx
    dec ebp
    jnz begin
    xor dword ptr [BAD], 1
    jz 4f
    mov [FIRST], ecx
    jmp 1b
4:  jmp [RESULTS]

# Compares and blames the instruction under test.
.macro IS actual:req, expected:req
    .set CHECK, CHECK+1
    cmp \actual, \expected
    je .Lgood\@
    push CHECK
    push \expected
    push \actual
    push [AT]
    jmp fail32
.Lgood\@:
.endm
# Stack: error, EIP, CS, EFLAGS; ESP was just above.
page_fault:
    mov [EAX_], eax
    mov eax, cr2
    and eax, ~1
    IS eax, edi
    mov eax, 14
    jmp fault
general_fault:
    mov [EAX_], eax
    mov eax, 13
fault:
    inc dword ptr [COUNT]
    IS eax, [VECTOR]
    mov eax, [esp]
    and eax, ~1
    IS eax, [ERROR]
    mov eax, [esp+4]
    IS eax, [AT]
    mov eax, [esp+8]
    IS eax, KCODE32
    lea eax, [esp+16]
    IS eax, [SP_]
    IS ebx, ebp
    IS ecx, ebp
    lea eax, [ebp+edx*4+3]
    IS esi, eax
    # EAX and the flags, as they come from what was before
    mov eax, [AX_BEFORE]
    mov ebx, [BODY]
    cmp byte ptr [ebx], 0x29        # SUB
    je 1f
    add eax, edx
    jmp 2f
1:  sub eax, edx
2:  pushfd
    pop ebx
    IS eax, [EAX_]
    mov eax, [esp+12]
    and eax, 0x8d5
    and ebx, 0x8d5
    IS eax, ebx
    mov ebx, ebp
    mov eax, [EAX_]
    mov edi, GOOD
    add esp, 4
    iretd
