//! Guest code for listings: name, whether it is 64-bit code, machine code in hexadecimal.

/// See the listings for what they are.
pub(super) const SNIPPETS: [(&str, bool, &str); 61] = [
    (
        "registers that live in the context",
        true,
        "4901c14c01c84939d24989db4c89db4189db4d85c94c85d34531d2410f92c249c1e10341b905000000410fb6c1490f42c24d01d1490fa3c1",
    ),
    ("sum of an array", true, "488b04cf4801c248ffc14839f175f1"),
    (
        "prologue and epilogue",
        true,
        "554889e5534883ec1848897de8488b5de84883c4185b5dc3",
    ),
    ("leave and return", true, "c9c21000"),
    ("direct call", true, "e8fb0f0000"),
    ("call in the page", true, "e83b000000"),
    ("indirect call by register", true, "ffd0"),
    ("indirect call by memory", true, "ff14c8"),
    ("indirect jump by a table", true, "ff2500010000"),
    (
        "slots of the stack around another access",
        true,
        "488b7c2408488b074889442410",
    ),
    ("jump of a switch", true, "4863048a4801d0ffe0"),
    ("comparison before a call", true, "4839d8488b0fe83b000000"),
    (
        "fields of a structure",
        true,
        "488b07488b5708488947108b4f18014f1c",
    ),
    (
        "registers that live in the context",
        true,
        "4f8b0c9a4d01d94f8d54190845890a",
    ),
    ("high bytes", true, "0fb6c48a3e00fa"),
    ("shifts by CL", true, "48d3e0d33f480fa5da41d3c1"),
    (
        "multiplication and division",
        true,
        "48f7e6486bc264489948f7fbf637",
    ),
    (
        "string comparison with wide lengths",
        true,
        "66480f3a61c6fb",
    ),
    ("conversion of a number in memory", true, "f20f2c07"),
    ("flags before what others execute", true, "0f20d84801c3"),
    ("compare and exchange with R10", true, "f04c0fb117751e"),
    ("compare and exchange", true, "f0480fb117751e"),
    ("compare and exchange of a pair", true, "f0480fc70f"),
    (
        "compare and exchange without lock",
        true,
        "480fb11766440fb1567f751e",
    ),
    ("atomics", true, "f00fc107488706f0830c2400"),
    ("bits in memory", true, "480fa307f00fab370fbae003"),
    ("carry chain", true, "480307481357084889064819c9"),
    ("flags across loads", true, "4839d8488b0f480f42c10f94c2"),
    (
        "flags of shifted copies, counts and sums before accesses",
        true,
        "4989d849c1e0044b8b140748ffc34d6304964d01f0498b00f30f6f004839d8",
    ),
    ("increments keep the carry", true, "880748ffc1720e"),
    ("flags as a whole", true, "9c589f9e"),
    ("interrupts off and on", true, "fa488b07fb90"),
    ("user pages opened and closed", true, "0f01cb488b070f01ca"),
    ("back to the user", true, "480f07"),
    ("direction and the address of a fault", true, "fcfd0f20d1"),
    ("thread-local", true, "64488b0425280000004889442408"),
    ("per-processor", true, "65ff050010000065488b042520000000"),
    ("address of a string", true, "488d3500020000678d3c48"),
    (
        "scalar floating point",
        true,
        "f20f1007f20f58c1f20f594708f20f1107",
    ),
    ("float to integer", true, "f2480f2cc0660f2ec1771e"),
    ("vectors of SSE2", true, "f30f6f06660ffe07660f7f07"),
    (
        "vectors of AVX2",
        true,
        "c5fe6f040ec5fdfe040fc5fe7f040f4883c1204839d172de",
    ),
    ("fused multiplication", true, "c4e2f5b807c5f877"),
    (
        "BMI",
        true,
        "c4e2e8f2c1c4e2c8f3cfc442b3f5c2c4e270f7c2c4e2f1f7c2c4e2ebf6c3",
    ),
    ("carry-less and AES", true, "660f38dc07660f3a44ca110f38cbca"),
    (
        "CRC and counts",
        true,
        "f20f38f007f3480fb8caf30fbd07480fbcc1",
    ),
    ("string comparison", true, "660f3a63071a720e"),
    ("what is left to others", true, "0f310fa2f4"),
    ("a system call", true, "b8010000000f05"),
    ("a return from an exception", true, "4883c40848cf"),
    (
        "segment registers",
        true,
        "8cc0668ce0f3480faec0f30faed9f3490faed1",
    ),
    ("the time", true, "480faee80f31480fc1d00f01f9"),
    (
        "a loop whose registers trade places",
        true,
        "4c8b0f4f8d14d941f6c10174064d01d34d31d94e890cd04c29ce75e4",
    ),
    (
        "a comparison with memory before another access",
        true,
        "6639540bff740a0fb70c4e85c9740239f9c3",
    ),
    (
        "a stack's range that is known, and flags at an indirect call",
        true,
        "4889442408488b0f48034c24084839c1ffd2",
    ),
    (
        "the stack beside another address, with a branch between",
        true,
        "48895c2408488b47084839c27303488b07",
    ),
    ("flags at a call", true, "4839d8e800010000"),
    ("flags at a call by memory", true, "4839d8ff5708"),
    ("32-bit loop", false, "8b048e01c24975f8"),
    ("32-bit frame", false, "5589e58b45085dc3"),
    ("32-bit thread-local", false, "65a114000000"),
];

/// 16-bit code.
pub(super) const SMALL: [(&str, &str); 6] = [
    (
        "16-bit operands and addresses",
        "8b4703268907033601808d5efe",
    ),
    ("16-bit stack", "5055895efc5dc3"),
    ("16-bit calls", "e8fd0f6650ffd0"),
    ("16-bit loop", "01d8e2fc"),
    ("32-bit addresses in 16-bit code", "67668b0418678d0418"),
    ("jump beyond the segment", "7506e9fe7f"),
];

/// The same of hot 64-bit blocks.
pub(super) const HOT: [(&str, &str); 6] = [
    ("hot load, store and addition", "488b07488906480302"),
    // mov rax, [rdi]; add rax, [rdi + 8]; mov [rsi], rax; mov [rsi + 8], rax
    ("hot run", "488b074803470848890648894608"),
    ("hot vector", "f30f6f07"),
    (
        "hot partition",
        "4c8b274531f64939d4410f92c64d8b3cf04c897ff84d8924f04c01f64883c7084839df72db",
    ),
    ("hot histogram", "0fb606ff048248ffc648ffc975f2"),
    ("hot sum of an array", "488b04cf4801c248ffc14839f175f1"),
];

/// Hot blocks whose accesses go to many pages.
pub(super) const WIDE: [(&str, &str); 2] = [
    ("hot load and store that wander", "488b07488906"),
    ("hot run that wanders", "488b074803470848890648894608"),
];

/// Branches that lead to sides, and where these begin.
pub(super) type Forks = &'static [(usize, usize)];

/// Hot blocks that lie in several places, and which of their instructions lead from one to the next, as bits: behind the last
/// one, to the first.
pub(super) const PATHS: [(&str, &str, u64, Forks); 4] = [
    // call f; f: add rax, [rdi]; ret, to the block's start
    ("path of a call", "e800000000480307c3", 0b101, &[]),
    // call rax; f: push rbx; mov ebx, 5; pop rbx; ret; cmp rcx, rdx; jne, to the block's start
    (
        "path of a call by register",
        "ffd053bb050000005bc34839d175f1",
        0b10001,
        &[],
    ),
    // cmp rax, rbx; jb, mostly; add rcx, rdx; jmp further; sub rcx, 8; jne, to the block's start
    (
        "path of branches",
        "4839d872004801d1eb004883e90875f0",
        0b1010,
        &[],
    ),
    // call f; f: cmp rdx, 8; ja; mov rax, [rdi]; ret, to the block's start; behind the branch: mov rax, [rsi]; ret
    (
        "path with a side",
        "e8000000004883fa087704488b07c3488b06c3",
        0b101_0001,
        &[(2, 5)],
    ),
];
