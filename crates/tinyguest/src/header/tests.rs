//! Headers, good and bad.

use super::{End, Header};

#[test]
fn reads_every_key() {
    let header = Header::parse(
        "# Two lines\n# of prose.\n#\n# cpus: 2\n# memory: 32M\n# differs: qemu: no such thing\n\
         # varies: bochs: at times\n# expect: exit=0x10, rax=5\n# expect: mem[0x600]=0xffff_ffff_ffff_ffff\n\n.include\n# cpus: 3\n",
    )
    .unwrap();
    assert_eq!(header.summary, "Two lines of prose.");
    assert_eq!((header.cpus, header.memory), (2, 32 << 20));
    assert_eq!(header.expect.end, End::Exit(0x10));
    assert_eq!(header.expect.registers["rax"], 5);
    assert_eq!(header.expect.memory[&0x600], u64::MAX);
    assert_eq!(header.differs[0].emulator, "qemu");
    assert_eq!(header.differs[0].why, "no such thing");
    assert_eq!(
        header
            .differs
            .iter()
            .map(|known| known.always)
            .collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn reads_other_ends() {
    assert_eq!(
        Header::parse("# expect: shutdown\n").unwrap().expect.end,
        End::Shutdown
    );
    assert_eq!(
        Header::parse("# expect: reset\n").unwrap().expect.end,
        End::Reset
    );
}

#[test]
fn names_the_line_of_a_mistake() {
    for (line, text) in [
        (1, "# prose only\n"),
        (2, "# prose\n# expct: exit=0x10\n"),
        (1, "# expect: exit\n"),
        (1, "# expect: exit=0x100000000\n"),
        (1, "# expect: exit=1 shutdown\n"),
        (1, "# expect: eax=1\n"),
        (1, "# expect: mem[600=1\n"),
        (1, "# cpus: 0\n# expect: shutdown\n"),
        (1, "# memory: 16\n# expect: shutdown\n"),
        (1, "# differs: vmware: x\n# expect: shutdown\n"),
    ] {
        assert_eq!(Header::parse(text).unwrap_err().0, line, "{text}");
    }
}
