# What a kernel may rely on about stale translations: INVLPG of any address in the page drops it, of a large page as a
# whole; a page that gains rights needs nothing more than the fault; CR3 drops all.
# expect: exit=0x10
.include "long.inc"
.set E1, PT_LOW+(DATA>>12)*8
main:
    mov rax, cr0
    bts rax, 16                     # WP
    mov cr0, rax
    mov dword ptr [DATA+0x1000], 0x11
    mov dword ptr [DATA+0x2000], 0x22
    PTE DATA, DATA+0x1000+P_+RW
    EQ64 [DATA], 0x11
    mov qword ptr [E1], DATA+0x2000+P_+RW
    invlpg [DATA+0xfff]
    EQ64 [DATA], 0x22
    # INVLPG of an address without a translation, or a non-canonical one, is fine.
    mov rbx, 0x8000000000
    invlpg [rbx]
    mov rbx, 0x800000000000
    invlpg [rbx]
    # Losing rights
    mov dword ptr [DATA], 1
    mov qword ptr [E1], DATA+P_
    invlpg [DATA]
    FAULT64 14, 3, mov dword ptr [DATA], 2
    # Gaining rights: a spurious fault is allowed once, and drops the stale translation.
    mov eax, [DATA]
    mov qword ptr [E1], DATA+P_+RW
    mov qword ptr [TRAP_RESUME], offset again
    mov [TRAP_RESUME_SP], rsp
again:
    mov dword ptr [DATA], 3
    mov qword ptr [TRAP_RESUME], 0
    EQ64 [DATA], 3
    # A large page
    mov dword ptr [PAGES+0x200000], 0x44
    mov dword ptr [PAGES], 0x33
    EQ64 [PAGES], 0x33
    mov qword ptr [PD_LOW+8], 0x400000+P_+RW+PS
    invlpg [PAGES+0x1ff000]
    EQ64 [PAGES], 0x44
    # A large page becomes a table: the old translation may be used until INVLPG, not after.
    mov edi, TABLES
    mov eax, PAGES+P_+RW
    mov ecx, 512
1:  mov [rdi], rax
    add rdi, 8
    add eax, 0x1000
    loop 1b
    mov qword ptr [PD_LOW+8], TABLES+P_+RW
    invlpg [PAGES]
    EQ64 [PAGES], 0x33
    # A change in an upper level: INVLPG drops cached upper entries as well.
    mov qword ptr [PDPT+8], TABLES+0x1000+P_+RW
    mov qword ptr [TABLES+0x1000], 0x200000+P_+RW+PS
    mov qword ptr [TABLES+0x2000], 0x400000+P_+RW+PS
    mov ebx, 0x40000000
    EQ64 [rbx], 0x33
    mov qword ptr [PDPT+8], TABLES+0x2000+P_+RW
    invlpg [rbx]
    EQ64 [rbx], 0x44
    # A load of CR3
    mov qword ptr [TABLES+0x2000], 0x200000+P_+RW+PS
    mov rax, cr3
    mov cr3, rax
    EQ64 [rbx], 0x33
    PASS64
