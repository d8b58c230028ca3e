# Types of segments at their use: no writes to read-only data and code, no reads of execute-only code, and a code
# segment's limit on fetches.
# differs: qemu: it checks no types and limits at the access
# expect: exit=0x10
.include "prot.inc"
main:
    DESCRIPTOR 0, 0, 0xfffff, 0x90, 12
    DESCRIPTOR 1, 0, 0xfffff, 0x98, 12
    mov eax, FREE0
    mov fs, eax
    mov al, fs:[RESULTS]
    FAULT32 13, 0, mov fs:[RESULTS], al
    FAULT32 13, 0, add byte ptr fs:[RESULTS], 1
    FAULT32 13, 0, xchg fs:[RESULTS], eax
    mov eax, KCODE32
    mov fs, eax
    cmp fs:[RESULTS], al
    FAULT32 13, 0, mov fs:[RESULTS], al
    # Execute-only code: run it, then read through CS.
    EXPECT32 1f
    jmp FREE1:2f
2:  mov ebx, 5
at: mov al, cs:[RESULTS]
    FAIL32
1:  TRAPPED32 13, 0, at
    EQ32 ebx, 5
    # Code that ends in the middle of an instruction
    mov byte ptr [DATA], 0x90
    mov byte ptr [DATA+1], 0xb8     # MOV EAX, imm32, of which two bytes are inside
    mov dword ptr [DATA+2], 0
    DESCRIPTOR 2, DATA, 3, 0x9a, 4
    EXPECT32 1f
    jmp FREE2:0
1:  TRAPPED32 13, 0, 1
    EQ32 [TRAP_CS], FREE2
    # A far jump beyond the limit faults at the jump.
    FAULT32 13, 0, jmp FREE2:4
    EQ32 [TRAP_CS], KCODE32
    PASS32
