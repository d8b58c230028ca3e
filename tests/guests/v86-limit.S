# Virtual-8086 mode has 64 KiB segments: #GP beyond, #SS on the stack.
# differs: qemu: it checks no segment limits
# expect: exit=0x10
.include "prot.inc"
.include "v86.inc"
main:
    V86 c_data
    V86_TRAPPED 13, 0, c_data_at
    V86 c_far_offset
    V86_TRAPPED 13, 0, c_far_offset_at
    V86 c_stack
    V86_TRAPPED 12, 0, c_stack_at
    PASS32
.code16
c_data:
    mov bx, 0xffff
c_data_at:
    mov ax, [bx]
c_far_offset:
    mov ebx, 0x10000
c_far_offset_at:
    mov al, [ebx]
c_stack:
    mov bp, 0xffff
c_stack_at:
    mov [bp], ax
.code32
