# 16-bit TSSs: registers are saved and loaded as words, and the caller's 32-bit state survives a round trip by a 32-bit TSS.
# expect: exit=0x10
.include "prot.inc"
.include "task.inc"
.set IP16, 0x0e
.set FLAGS16, 0x10
.set AX16, 0x12
.set SP16, 0x1a
.set ES16, 0x22
.set CS16, 0x24
.set SS16, 0x26
.set DS16, 0x28
main:
    DESCRIPTOR 0, TASK2, 0x2b, 0x81
    mov word ptr [TASK2+IP16], offset second
    mov word ptr [TASK2+FLAGS16], 0x46
    mov word ptr [TASK2+AX16], 0x1111
    mov word ptr [TASK2+SP16], 0x6800
    mov word ptr [TASK2+ES16], KDATA
    mov word ptr [TASK2+CS16], KCODE16
    mov word ptr [TASK2+SS16], KDATA16
    mov word ptr [TASK2+DS16], KDATA
    mov eax, 0x12345678
    call FREE0:0
    EQ32 eax, 0x12345678
    EQ32 [RESULTS], 0x1111
    EQ32 [RESULTS+4], 0x6800
    EQ32 [RESULTS+8], 0x4046        # NT
    movzx eax, word ptr [TASK2]
    EQ32 eax, TSS_SEL
    movzx eax, word ptr [TASK2+AX16]
    EQ32 eax, 0x2222
    movzx eax, word ptr [TASK2+IP16]
    EQ32 eax, "offset second_end"
    movzx eax, word ptr [TASK2+SP16]
    EQ32 eax, 0x6800
    movzx eax, byte ptr [gdt_free+5]
    EQ32 eax, 0x81
    PASS32
.code16
second:
    movzx eax, ax
    mov [RESULTS], eax
    mov word ptr [RESULTS+4], sp
    pushf
    pop [RESULTS+8]
    mov ax, 0x2222
    iretw
second_end:
.code32
