# Code and data in one page, in one cache line even: a hot loop that counts, keeps its stack and its table beside itself,
# while a function in the page is rewritten now and then; data that becomes code and code that becomes data.
# expect: exit=0x10
.include "long.inc"
.set PAGE, DATA
.set ROUNDS, 30000
.set STACK, DATA+0x1000             # top: the end of the same page
.set BUFFER, DATA+0x800             # small functions, written and run
main:
    cld
    mov esi, offset template
    mov edi, PAGE
    mov ecx, template_end-template
    rep movsb
    # Left alone
    mov r12d, -1
    call run
    EQ64 [PAGE+counter-template], ROUNDS
    EQ64 rax, ROUNDS*7
    EQ64 rbx, ROUNDS
    # The immediate changed every 256 rounds, each time by one
    mov qword ptr [PAGE+counter-template], 0
    mov r12d, 255
    call run
    EQ64 [PAGE+counter-template], ROUNDS
    # The sum of 7 + number of changes so far
    EQ64 rax, ROUNDS*7+((ROUNDS/256)*(ROUNDS/256-1)/2)*256+(ROUNDS/256)*(ROUNDS%256+1)
    EQ64 rbx, ROUNDS
    # Each round
    mov dword ptr [PAGE+constant-template+1], 7
    mov qword ptr [PAGE+counter-template], 0
    xor r12d, r12d
    call run
    EQ64 rax, ROUNDS*7+ROUNDS*(ROUNDS+1)/2
    # A buffer that is code, data, code: what a compiler in the guest does
    mov r15d, 4000
    xor r14d, r14d
1:  mov edi, r15d
    and edi, 15
    shl edi, 4
    add edi, BUFFER                 # sixteen functions, reused in turn
    mov byte ptr [rdi], 0xb8        # MOV EAX, number
    mov [rdi+1], r15d
    mov dword ptr [rdi+5], 0xc3f8010f # (data for a moment)
    mov dword ptr [rdi+5], 0x909090c3
    call rdi
    EQ64 rax, r15
    # Those that were made before are what they were.
    mov esi, r15d
    inc esi
    and esi, 15
    shl esi, 4
    add esi, BUFFER
    cmp r15d, 4000-15
    ja 2f
    call rsi
    lea edx, [r15+1]
    cmp eax, edx
    je 2f
    lea edx, [r15-15]
    cmp eax, edx
    je 2f
    lea edx, [r15+1]
    EQ64 rax, rdx
2:  # Then it is summed up as data.
    mov ecx, 16
    xor eax, eax
3:  movzx edx, byte ptr [rdi+rcx-1]
    add eax, edx
    loop 3b
    add r14, rax
    dec r15d
    jnz 1b
    PASS64

# EAX: the sum of what `constant` gave; EBX: of what the table gave
run:
    mov r13, rsp
    mov esp, STACK
    mov eax, PAGE
    xor ecx, ecx
    xor ebx, ebx
    xor esi, esi
    call rax
    mov rsp, r13
    mov rax, rsi
    ret

    .balign 16
template:
1:  inc qword ptr [rip+counter]     # in the line that runs
    push rcx                        # below the page's end
    mov rdx, [rip+table]
    add rbx, rdx
    inc ecx
    test ecx, r12d
    jnz 2f
    inc dword ptr [rip+constant+1]
2:  call constant
    add rsi, rax
    pop rdx
    cmp ecx, ROUNDS
    jb 1b
    ret
counter:
    .quad 0
constant:
    mov eax, 7
    ret
table:
    .quad 1
template_end:
