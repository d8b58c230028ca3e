# Page faults in the middle of hot blocks, at CPL 0: load, store, read-modify-write, stack, branch, vector and x87
# instructions. The frame, CR2 and the registers are exact each time, and the restart leaves nothing done twice.
# differs: qemu: reads before it writes, so a read-modify-write of an absent page faults as a read
# expect: exit=0x10
.include "long.inc"
.include "xsave.inc"
.include "hot.inc"
main:
    HOT_INIT
    .include "hot-list.inc"
    PASS64
