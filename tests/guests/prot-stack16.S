# A 16-bit stack segment: PUSH, CALL, RET, ENTER and LEAVE use SP alone, and the upper half of ESP stays.
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0x100000, 0xffff, 0x92, 0     # B = 0
    mov eax, FREE0
    mov ss, eax
    mov esp, 0x12340000
    push 0x11223344
    mov ebx, esp
    pop ecx
    mov edx, esp
    call 1f
1:  pop esi
    mov edi, esp
    mov ebp, 0xabcd5678
    enter 4, 0
    mov eax, ebp
    leave
    xchg ebp, eax                   # what ENTER made of EBP; EAX has the old one back
    push eax
    pop dword ptr [RESULTS]
    mov [RESULTS+4], ebp
    mov ebp, esp
    mov eax, KDATA
    mov ss, eax
    mov esp, BOOT_STACK
    EQ32 ebx, 0x1234fffc
    EQ32 ecx, 0x11223344
    EQ32 edx, 0x12340000
    EQ32 esi, "offset 1b"
    EQ32 edi, 0x12340000
    EQ32 ebp, 0x12340000
    movzx eax, word ptr [RESULTS+4]
    EQ32 eax, 0xfffc
    EQ32 [RESULTS], 0xabcd5678
    EQ32 [0x10fffc], 0xabcd5678
    PASS32
