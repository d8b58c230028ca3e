# An instruction that reads, modifies and writes an absent page faults as a write, whether or not it would change it.
# differs: qemu: without LOCK the read faults first, as a read
# expect: exit=0x10
.include "long.inc"
main:
    PTE DATA, 0
    FAULT64 14, 2, add dword ptr [DATA+8], 1
    FAULT64 14, 2, lock add dword ptr [DATA+8], 1
    FAULT64 14, 2, not byte ptr [DATA+8]
    FAULT64 14, 2, xchg [DATA+8], rax
    FAULT64 14, 2, xadd [DATA+8], ax
    FAULT64 14, 2, cmpxchg [DATA+8], rcx
    FAULT64 14, 2, lock cmpxchg8b [DATA+8]
    FAULT64 14, 2, bts dword ptr [DATA+8], 0
    FAULT64 14, 2, shl dword ptr [DATA+8], 3
    FAULT64 14, 2, shld dword ptr [DATA+8], eax, 3
    FAULT64 14, 0, test byte ptr [DATA+8], 3
    FAULT64 14, 0, bt dword ptr [DATA+8], 3
    FAULT64 14, 2, sete [DATA]
    PASS64
