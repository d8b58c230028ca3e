# Segment limits: byte and page granular, accesses that straddle the end, #GP for data and #SS for the stack.
# differs: qemu: it checks no segment limits
# expect: exit=0x10
.include "prot.inc"
main:
    fninit
    DESCRIPTOR 0, 0x100000, 0x10, 0x92, 4       # bytes 0 to 0x10
    DESCRIPTOR 1, 0x100000, 1, 0x92, 12         # pages 0 and 1
    mov eax, FREE0
    mov fs, eax
    mov al, fs:[0x10]
    FAULT32 13, 0, mov al, fs:[0x11]
    mov ax, fs:[0xf]
    FAULT32 13, 0, mov ax, fs:[0x10]
    mov eax, fs:[0xd]
    FAULT32 13, 0, mov eax, fs:[0xe]
    mov dword ptr fs:[0xd], 0x11223344
    FAULT32 13, 0, mov dword ptr fs:[0xe], 0
    EQ32 [0x10000d], 0x11223344                 # nothing was written
    FAULT32 13, 0, mov eax, fs:[0xffffffff]
    FAULT32 13, 0, mov eax, fs:[0xfffffffe]     # the address wraps around
    FAULT32 13, 0, fld qword ptr fs:[0xa]
    fld qword ptr fs:[0x9]
    fstp st(0)
    FAULT32 13, 0, fld tbyte ptr fs:[0x8]
    mov eax, FREE1
    mov fs, eax
    mov eax, fs:[0x1ffc]
    FAULT32 13, 0, mov eax, fs:[0x1ffd]
    mov al, fs:[0x1fff]
    FAULT32 13, 0, mov al, fs:[0x2000]
    # as a stack
    mov edx, esp
    EXPECT32 1f
    mov eax, FREE1
    mov ss, eax
    mov esp, 0x1000                 # the frame goes there as well
    mov ebp, 0x1ffd
at: mov eax, [ebp]
    FAIL32
1:  TRAPPED32 12, 0, at
    PASS32
