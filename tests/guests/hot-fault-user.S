# Page faults in the middle of hot blocks, at CPL 3; see hot-fault.
# differs: qemu: reads before it writes, so a read-modify-write of an absent page faults as a read
# expect: exit=0x10
.set HOT_USER, 1
.include "long.inc"
.include "xsave.inc"
.include "hot.inc"
main:
    HOT_INIT
    USER64 user, 0x3002             # IOPL 3, to end the guest
    FAIL64
user:
    .include "hot-list.inc"
    PASS64
