# The GDT, the IDT and the TSS on pages that are not present or read-only: a page fault with the supervisor's error code
# and the entry's address, at any privilege.
# expect: exit=0x10
.include "long.inc"
main:
    # A GDT that reaches into an absent page
    cld
    mov esi, offset gdt
    mov edi, DATA
    mov ecx, (gdt_end-gdt)/8
    rep movsq
    PTE DATA+0x1000, 0
    mov word ptr [RESULTS], 0x1fff
    mov qword ptr [RESULTS+2], DATA
    lgdt [RESULTS]
    mov eax, 0x1008
    FAULT64 14, 0, mov fs, eax
    EQ64 [TRAP_CR2], DATA+0x1008
    push rax
    push offset main
    FAULT64 14, 0, retfq
    EQ64 [TRAP_CR2], DATA+0x1008
    mov rsp, BOOT_STACK
    FAULT64 14, 0, lar ebx, eax
    FAULT64 14, 0, verr ax
    USER64 user
    TRAPPED64 14, 0, user_at        # not the user's access
    EQ64 [TRAP_CS], UCODE64
    # The accessed bit is written: a read-only page refuses it, with WP.
    mov rax, cr0
    bts rax, 16
    mov cr0, rax
    mov byte ptr [DATA+UDATA-3+5], 0xf2
    mov byte ptr [DATA+KDATA+5], 0x93
    PTE DATA, DATA+P_
    mov eax, UDATA
    FAULT64 14, 3, mov fs, eax
    mov rax, [TRAP_CR2]             # which byte is the CPU's affair
    and eax, ~7
    EQ64 rax, DATA+UDATA-3
    # One that is set already needs no write.
    mov eax, KDATA
    mov fs, eax
    lgdt [gdt_pointer]
    # The IDT: entry 0x60 in an absent page
    mov esi, IDT
    mov edi, DATA+0x2000
    mov ecx, 0x1000/8
    PTE DATA+0x2000, DATA+0x2000+P_+RW
    rep movsq
    mov esi, IDT
    mov edi, DATA+0x2a00            # entries up to 0x5f in one page, 0x60 in the next
    mov ecx, 0x600/8
    rep movsq
    PTE DATA+0x3000, 0
    mov word ptr [RESULTS], 0xfff
    mov qword ptr [RESULTS+2], DATA+0x2a00
    lidt [RESULTS]
    FAULT64 14, 0, int 0x60
    EQ64 [TRAP_CR2], DATA+0x3000
    lidt [idt_pointer]
    PASS64
.section .user, "ax"
user:
    mov eax, 0x100b
user_at:
    mov fs, eax
