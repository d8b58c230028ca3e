# Opcodes that are #UD in 64-bit mode on every CPU, wherever they lie.
# differs: qemu: it knows POP with other register fields
# expect: exit=0x10
.include "long.inc"
.macro UD bytes:vararg
    FAULT64 6, 0, .byte \bytes
.endm
main:
    UD 0x0f, 0x0b                   # UD2
    UD 0x0f, 0xb9, 0xc0             # UD1
    UD 0x0f, 0xff, 0xc0             # UD0
    UD 0x0f, 0x04
    UD 0x0f, 0x0a
    UD 0x0f, 0x24, 0xc0
    UD 0x0f, 0x26, 0xc0
    UD 0x0f, 0xa6, 0xc0
    UD 0xf0, 0x0f, 0xc7, 0xc8       # LOCK CMPXCHG8B EAX: the erratum of the Pentium
    UD 0x0f, 0xc7, 0xc8
    UD 0xfe, 0xd0                   # group 4
    UD 0xfe, 0xff
    UD 0xff, 0xff                   # group 5 /7
    UD 0xff, 0xd8                   # CALL FAR with a register
    UD 0xff, 0xe8                   # JMP FAR
    UD 0x8f, 0xc8                   # POP /1
    UD 0xc6, 0xc8                   # group 11
    UD 0xc7, 0xd0
    UD 0x8d, 0xc0                   # LEA with a register
    UD 0x0f, 0xb2, 0xc0             # LSS with a register
    UD 0x8c, 0xf0                   # MOV from segment register 6
    UD 0x8e, 0xf8
    UD 0x0f, 0xba, 0xc0, 0          # group 8 /0
    UD 0x0f, 0x05                   # SYSCALL, off
    UD 0x9a
    UD 0x0e
    UD 0x37
    UD 0xd6
    UD 0xce
    PASS64
