# LIDT works in real mode: vectors come from the new base, and one beyond the limit raises #GP, then #DF.
# expect: exit=0x10
.include "real.inc"
.set TABLES_LOW, 0x2000
main:
    mov word ptr [TABLES_LOW+0x60*4], offset handler
    mov word ptr [TABLES_LOW+0x60*4+2], 0
    # #GP and #DF there, the rest zero
    mov word ptr [TABLES_LOW+13*4], offset vectors16+13*4
    mov word ptr [TABLES_LOW+8*4], offset vectors16+8*4
    lidt [pointer]
    int 0x60
    EQ16 ax, 0x4321
    FAULT16 13, int 0x61            # no entry: #GP at the INT itself
    sidt [RESULTS]
    EQ16 [RESULTS], 0x183
    EQ16 [RESULTS+2], TABLES_LOW
    lidt [only_df]
    EXPECT16 1f
at: int 0x61                        # neither 0x61 nor 13 is there: #DF
    FAIL16
1:  TRAPPED16 8, at
    PASS16
handler:
    mov ax, 0x4321
    iret
pointer:
    .word 0x183
    .long TABLES_LOW
only_df:
    .word 9*4-1
    .long TABLES_LOW
