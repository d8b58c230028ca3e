# LOCK: #UD on registers and on instructions that do not write memory; fine on the others.
# differs: qemu: it overlooks some
# expect: exit=0x10
.include "long.inc"
main:
    xor eax, eax
    FAULT64 6, 0, .byte 0xf0, 0x90                      # NOP
    FAULT64 6, 0, .byte 0xf0, 0x01, 0xc0                # ADD EAX, EAX
    FAULT64 6, 0, .byte 0xf0, 0x87, 0xc0                # XCHG EAX, EAX
    FAULT64 6, 0, .byte 0xf0, 0x39, 0x04, 0x25, 0, 6, 0, 0      # CMP [0x600], EAX
    FAULT64 6, 0, .byte 0xf0, 0x03, 0x04, 0x25, 0, 6, 0, 0      # ADD EAX, [0x600]
    FAULT64 6, 0, .byte 0xf0, 0x89, 0x04, 0x25, 0, 6, 0, 0      # MOV
    FAULT64 6, 0, .byte 0xf0, 0x0f, 0xa3, 0x04, 0x25, 0, 6, 0, 0 # BT
    FAULT64 6, 0, .byte 0xf0, 0xa4                      # MOVSB
    FAULT64 6, 0, .byte 0xf0, 0xff, 0x34, 0x25, 0, 6, 0, 0      # PUSH
    FAULT64 6, 0, .byte 0xf0, 0xd1, 0x24, 0x25, 0, 6, 0, 0      # SHL
    FAULT64 6, 0, .byte 0xf0, 0xc3                      # RET
    FAULT64 6, 0, .byte 0xf0, 0xcd, 0x60                # INT
    FAULT64 6, 0, .byte 0xf0, 0x0f, 0x01, 0xf9          # RDTSCP
    FAULT64 6, 0, .byte 0xf0, 0x0f, 0x01, 0xf8          # SWAPGS
    mov qword ptr [RESULTS], 5
    mov ecx, 3
    lock add [RESULTS], ecx
    lock inc dword ptr [RESULTS]
    lock not byte ptr [RESULTS+1]
    lock xadd [RESULTS], ecx
    EQ64 rcx, 0xff09
    lock xchg [RESULTS+8], ecx
    lock btc dword ptr [RESULTS], 0
    lock neg dword ptr [RESULTS+4]
    PASS64
