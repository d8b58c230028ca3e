//! Linear to physical: TLB, page walk, and every load and store that the guest makes.
//!
//! The TLB is looked up under one of four privilege contexts ([`Context`]), so that a hit needs no check of
//! rights. What must be seen on every access (watchpoints, alignment checks, devices) never enters the TLB and
//! always takes the slow path.

mod access;
mod span;
mod tlb;
mod walk;

pub(crate) use access::Place;
pub(crate) use span::Span;
pub(crate) use tlb::Mmu;

use x86::cr::{cr0, cr4};
use x86::flags;

use crate::cpu::Cpu;
use crate::mode::Mode;

/// What an access is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    Fetch,
}

/// Whose rights an access has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Privilege {
    /// Supervisor, kept from user pages by SMAP.
    Supervisor = 0,
    /// Supervisor, user pages allowed.
    SupervisorAll = 1,
    /// User.
    User = 2,
    /// User, with alignment checks: never enters the TLB.
    UserAligned = 3,
}

impl Privilege {
    pub(crate) fn is_user(self) -> bool {
        self as u8 >= Self::User as u8
    }

    /// The same without what makes no difference to fetches.
    #[inline(always)]
    fn of_fetches(self) -> Self {
        match self {
            Self::SupervisorAll => Self::Supervisor,
            other => other,
        }
    }
}

impl Cpu {
    /// Derives the privilege of explicit accesses; part of [`Cpu::refresh_mode`].
    pub(crate) fn refresh_privilege(&mut self) {
        self.mmu.set_long(self.mode.long);
        self.mmu.privilege = self.privilege_at(self.mode.cpl);
        self.mode.kind = self.mode.kind & !Mode::RIGHTS | self.rights(self.mmu.privilege);
        let tables = [self.system_privilege(), Privilege::SupervisorAll];
        self.ctx.supervisor_tables = tables.map(|open| self.mmu.supervisor_table(open) as u64);
    }

    /// What code depends on of the privilege with which it runs. Whether SMAP is open is not among it: generated code
    /// switches tables by itself.
    fn rights(&self, privilege: Privilege) -> u8 {
        match privilege {
            Privilege::Supervisor | Privilege::SupervisorAll => {
                self.mode.cpl.min(1) << Mode::RIGHTS_SHIFT
            }
            user => self.user_rights(user),
        }
    }

    /// [`Cpu::rights`] of user code.
    pub(crate) fn user_rights(&self, privilege: Privilege) -> u8 {
        let unshared = if self.is_unshared { Mode::UNSHARED } else { 0 };
        (privilege as u8) << Mode::RIGHTS_SHIFT | unshared
    }

    /// The privilege of explicit accesses at a privilege level.
    pub(crate) fn privilege_at(&self, cpl: u8) -> Privilege {
        let ac = self.flags & flags::AC != 0;
        match cpl {
            3 if ac && self.cr0 & cr0::AM != 0 => Privilege::UserAligned,
            3 => Privilege::User,
            _ if ac => Privilege::SupervisorAll,
            _ => self.system_privilege(),
        }
    }

    /// The privilege of implicit accesses to system structures (GDT, IDT, TSS).
    pub(crate) fn system_privilege(&self) -> Privilege {
        if self.cr4 & cr4::SMAP != 0 {
            Privilege::Supervisor
        } else {
            Privilege::SupervisorAll
        }
    }
}
