# A triple fault by page faults: the directory goes away under everything.
# expect: shutdown
.include "long.inc"
main:
    mov eax, TABLES
    mov cr3, rax
    FAIL64
