# Exceptions other than page faults in the middle of hot blocks, at CPL 3: #DE, #XM, #MF, #UD, #BP, #SS, #GP, #AC. The frame
# and all registers are exact each time.
# differs: qemu: raises no SIMD floating-point exceptions
# expect: exit=0x10
.set HOT_USER, 1
.include "long.inc"
.include "xsave.inc"
.include "hot.inc"
main:
    HOT_INIT
    mov rax, cr0
    or eax, 0x40022                 # AM, NE, MP
    mov cr0, rax
    USER64 user, 0x3002             # IOPL 3, to end the guest
    FAIL64
user:
    .include "hot-skip.inc"
    PASS64
