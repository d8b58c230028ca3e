# The debug-exit port: its value, and the state at the end, registers and memory.
# expect: exit=0x10, rax=0x10, rbx=0x1122334455667788, r15=0xffffffffffffffff, rsp=0x7000
# expect: mem[0x600]=0x8877665544332211, mem[0x608]=5
.include "long.inc"
main:
    mov rbx, 0x1122334455667788
    mov r15, -1
    mov rax, 0x8877665544332211
    mov [RESULTS], rax
    mov qword ptr [RESULTS+8], 5
    PASS64
