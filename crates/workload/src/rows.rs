//! The table of all rows.

use crate::Task;
use crate::{
    atomic, call, code, crypto, float, integer, memory, package, parallel, string, system, vector,
};

/// What a row is judged by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Integers, sorting, calls and branches.
    Integer,
    /// Floating point, vectors and x87.
    Float,
    /// Loads and stores.
    Memory,
    /// The guest's kernel.
    System,
    /// Programs as people run them.
    Program,
    /// No time but a ratio; more is better.
    Ratio,
}

/// The kind of guest that a row runs in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// One vCPU.
    One,
    /// Two vCPUs.
    Two,
    /// One vCPU, with a root tree of Debian's packages.
    Packages,
}

impl Group {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Memory => "memory",
            Self::System => "system",
            Self::Program => "program",
            Self::Ratio => "ratio",
        }
    }
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
            Self::Packages => "packages",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::One, Self::Two, Self::Packages]
            .into_iter()
            .find(|stage| stage.name() == name)
    }
}

/// A kind of work.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) stage: Stage,
    /// Does what is not measured.
    pub(crate) prepare: fn() -> Task,
}

const fn row(name: &'static str, group: Group, stage: Stage, prepare: fn() -> Task) -> Row {
    Row {
        name,
        group,
        stage,
        prepare,
    }
}

/// A row of a function that needs no preparation.
macro_rules! plain {
    ($name:literal, $group:ident, $work:path) => {
        row($name, Group::$group, Stage::One, || {
            Task::Timed(Box::new($work))
        })
    };
}

/// A row of a function that prepares the work.
macro_rules! ready {
    ($name:literal, $group:ident, $stage:ident, $prepare:expr) => {
        row($name, Group::$group, Stage::$stage, || $prepare)
    };
}

pub(crate) const ROWS: &[Row] = &[
    plain!("integer-loop", Integer, integer::add_shift_xor),
    plain!("dependent-multiply", Integer, integer::multiply),
    plain!("divide", Integer, integer::divide),
    plain!("sort", Integer, integer::sort),
    plain!("recursion", Integer, call::recursion),
    ready!("indirect-call", Integer, One, call::indirect()),
    ready!("method-call", Integer, One, call::method()),
    ready!("table-call", Integer, One, call::table()),
    ready!("switch-interpreter", Integer, One, code::interpreter()),
    ready!("sha256", Integer, One, crypto::sha256::prepare()),
    ready!("gzip", Integer, One, crypto::gzip()),
    plain!("float-scalar", Float, float::scalar),
    plain!("float-sqrt-divide", Float, float::sqrt_divide),
    plain!("x87", Float, float::x87),
    ready!("sse2-float", Float, One, vector::sse2_float()),
    ready!("sse2-integer", Float, One, vector::sse2_integer()),
    ready!("avx2-fma", Float, One, vector::avx2_fma()),
    ready!("avx2-integer", Float, One, vector::avx2_integer()),
    ready!("aes-ni", Float, One, crypto::aes::prepare()),
    ready!("pointer-chase-32K", Memory, One, memory::chase(32 << 10)),
    ready!("pointer-chase-4M", Memory, One, memory::chase(4 << 20)),
    ready!("pointer-chase-64M", Memory, One, memory::chase(64 << 20)),
    ready!("load-store", Memory, One, memory::mixed()),
    ready!("unaligned", Memory, One, memory::unaligned()),
    ready!("memcpy-small", Memory, One, string::memcpy_small()),
    ready!("memcpy-1M", Memory, One, string::memcpy_large()),
    ready!("memset-small", Memory, One, string::memset_small()),
    ready!("memset-1M", Memory, One, string::memset_large()),
    ready!("rep-movsb-64", Memory, One, string::movsb(64)),
    ready!("rep-movsb-64K", Memory, One, string::movsb(64 << 10)),
    ready!("rep-stosq-64K", Memory, One, string::stosq(64 << 10)),
    ready!("repne-scasb-4K", Memory, One, string::scasb(4 << 10)),
    ready!("repe-cmpsb-4K", Memory, One, string::cmpsb(4 << 10)),
    plain!("atomic", Memory, atomic::alone),
    plain!("system-call", System, system::call),
    ready!("signal", System, One, system::signal::prepare()),
    ready!("page-fault", System, One, system::mapping::fault()),
    plain!("mmap-munmap", System, system::mapping::map),
    plain!("fork", System, system::process::fork),
    ready!("fork-exec", System, One, system::process::fork_exec()),
    ready!("pipe-ping-pong", System, One, system::pipe::prepare(true)),
    ready!("thread-creation", System, One, system::thread()),
    ready!("file-creation", System, One, system::file::prepare()),
    ready!("atomic-contended", Memory, Two, atomic::contended()),
    ready!(
        "pipe-ping-pong-2",
        System,
        Two,
        system::pipe::prepare(false)
    ),
    ready!("2-processors-to-1", Ratio, Two, parallel::compute()),
    ready!("2-processors-to-1-system", Ratio, Two, parallel::system()),
    ready!("python", Program, Packages, package::python()),
    ready!("gcc", Program, Packages, package::gcc()),
    ready!("sqlite", Program, Packages, package::sqlite()),
    ready!("node", Program, Packages, package::node()),
];
