# SYSRET with a 32-bit operand: compatibility mode, EIP from ECX, and CS and SS as STAR says.
# expect: exit=0x10
.include "long.inc"
.include "msr.inc"
main:
    SYSCALL_ON entry
    EXPECT64 1f
    mov rcx, offset user
    mov r11d, 0x202
    mov esp, USER_STACK
    sysretd
1:  TRAPPED64 0x80, 0, user_end
    EQ64 [TRAP_CS], UCODE32
    EQ64 [TRAP_SS], UDATA
    EQ64 [TRAP_FLAGS], 0x202
    EQ64 [TRAP_SP], USER_STACK-4
    EQ64 rax, 0x76
    PASS64
entry:
    FAIL64
.section .user, "ax"
.code32
user:
    mov eax, 0x77
    .byte 0x48                      # DEC EAX there, a REX prefix in 64-bit code
    nop
    push eax
    int 0x80
user_end:
.code64
    nop
