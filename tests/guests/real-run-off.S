# Straight-line code that runs off the end of a 64 KiB segment: #GP at 0x10000, not a wrap.
# differs: qemu: it checks no segment limits
# expect: exit=0x10
.include "real.inc"
main:
    mov ax, 0x2000
    mov ds, ax
    mov dword ptr [0xfffc], 0x90909090
    mov byte ptr [0], 0xcc
    EXPECT16 1f
    jmp 0x2000:0xfffc
1:  EQ16 cs:[TRAP_VEC], 13
    EQ16 cs:[TRAP_IP], 0            # the low half of 0x10000
    EQ16 cs:[TRAP_CS], 0x2000
    # An instruction that begins inside and ends outside
    mov dword ptr [0xfffc], 0x05b89090
    EXPECT16 1f
    jmp 0x2000:0xfffc
1:  EQ16 cs:[TRAP_VEC], 13
    EQ16 cs:[TRAP_IP], 0xfffe
    PASS16
