use std::collections::HashSet;
use std::sync::Arc;

use mem::{Gpa, GuestRam, Offset};

use super::{Fill, LAST_ASN, Mmu, Size};
use crate::mmu::{Access, Privilege};

/// What was filled and not yet forgotten: the translations that a processor may use.
#[derive(Default)]
struct Model {
    known: Vec<Known>,
    pcid: u16,
}

#[derive(Clone, Copy)]
struct Known {
    privilege: Privilege,
    linear: u64,
    pcid: u16,
    fill: Fill,
}

impl Model {
    fn forget(&mut self, pcid: u16) {
        self.known
            .retain(|known| known.fill.global || known.pcid != pcid);
    }

    fn invalidate(&mut self, linear: u64) {
        self.known.retain(|known| {
            let shift = match known.fill.size {
                Size::Small => 12,
                Size::Large => 21,
                Size::Giant => 30,
            };
            known.linear >> shift != linear >> shift
        });
    }

    /// Whether an access may use `page`.
    fn allows(&self, privilege: Privilege, access: Access, linear: u64, page: Offset) -> bool {
        self.known.iter().any(|known| {
            let kernel = !known.fill.user && !known.privilege.is_user() && !privilege.is_user();
            let fetch = access == Access::Fetch;
            let supervisors = !known.privilege.is_user() && !privilege.is_user();
            (known.privilege == privilege || kernel || fetch && supervisors)
                && known.linear == linear
                && (known.fill.global || known.pcid == self.pcid)
                && known.fill.page == page
                && match access {
                    Access::Read => known.fill.read,
                    Access::Write => known.fill.write,
                    Access::Fetch => known.fill.fetch,
                }
        })
    }
}

fn mmu() -> Mmu {
    Mmu::new(Arc::new(GuestRam::new(&[(Gpa(0), 64 << 12)]).unwrap()))
}

/// A generator of numbers that only need to be various.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    /// A page in either half; some share a slot, some a large page.
    fn page(&mut self) -> u64 {
        let low = self.below(4) << 12 | self.below(2) << 21 | self.below(2) << 30;
        low | if self.flag() { 0xffff_8000 << 32 } else { 0 }
    }

    fn privilege(&mut self) -> Privilege {
        [
            Privilege::Supervisor,
            Privilege::SupervisorAll,
            Privilege::User,
        ][self.below(3) as usize]
    }

    fn access(&mut self) -> Access {
        [Access::Read, Access::Write, Access::Fetch][self.below(3) as usize]
    }
}

fn fill(mmu: &mut Mmu, model: &mut Model, numbers: &mut Numbers) {
    let (linear, privilege) = (numbers.page(), numbers.privilege());
    let fill = Fill {
        page: Offset(numbers.below(64) << 12),
        size: [Size::Small, Size::Large, Size::Giant][numbers.below(3) as usize],
        global: numbers.flag(),
        user: numbers.flag(),
        read: numbers.flag(),
        write: numbers.flag(),
        bare: true,
        fetch: numbers.flag(),
    };
    mmu.fill(privilege, linear, fill);
    let pcid = model.pcid;
    model.known.push(Known {
        privilege,
        linear,
        pcid,
        fill,
    });
    for access in [Access::Read, Access::Write, Access::Fetch] {
        let allowed = match access {
            Access::Read => fill.read,
            Access::Write => fill.write,
            Access::Fetch => fill.fetch,
        };
        let found = mmu.probe(privilege, access, linear + 8, 8);
        if allowed {
            assert_eq!(found, Some(fill.page.add(8)));
        } else if let Some(at) = found {
            assert!(model.allows(privilege, access, linear, Offset(at.0 - 8)));
        }
    }
}

#[test]
fn nothing_is_used_that_was_forgotten() {
    let mut mmu = mmu();
    let mut model = Model::default();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..200_000 {
        match numbers.below(40) {
            0..16 => fill(&mut mmu, &mut model, &mut numbers),
            16..20 => {
                let (pcid, keep) = (numbers.below(4) as u16, numbers.flag());
                mmu.load_space(pcid, keep);
                model.pcid = pcid;
                if !keep {
                    model.forget(pcid);
                }
            }
            20..23 => {
                let linear = numbers.page();
                mmu.invalidate(linear);
                model.invalidate(linear);
            }
            23 => {
                let pcid = numbers.below(4) as u16;
                if pcid != model.pcid {
                    mmu.forget(pcid);
                    model.forget(pcid);
                }
            }
            24 => {
                mmu.flush_local(model.pcid);
                model.known.retain(|known| known.fill.global);
            }
            25 if numbers.below(8) == 0 => {
                mmu.flush_all(model.pcid);
                model.known.clear();
            }
            _ => {
                let (linear, privilege) = (numbers.page(), numbers.privilege());
                let access = numbers.access();
                if let Some(at) = mmu.probe(privilege, access, linear, 8) {
                    assert!(model.allows(privilege, access, linear, at));
                }
            }
        }
    }
    assert!(mmu.code[1].epoch() > 0, "the numbers never ran out");
}

#[test]
fn global_translations_of_the_upper_half_outlive_cr3() {
    let mut mmu = mmu();
    let linear = 0xffff_8000_0000_1000;
    let fill = Fill {
        page: Offset(0x5000),
        size: Size::Small,
        global: true,
        user: true,
        read: true,
        write: false,
        bare: false,
        fetch: false,
    };
    mmu.fill(Privilege::SupervisorAll, linear, fill);
    mmu.load_space(0, false);
    let found = mmu.probe(Privilege::SupervisorAll, Access::Read, linear, 1);
    assert_eq!(found, Some(Offset(0x5000)));
}

#[test]
fn a_kept_pcid_keeps_its_translations() {
    let mut mmu = mmu();
    let fill = Fill {
        page: Offset(0x5000),
        size: Size::Small,
        global: false,
        user: true,
        read: true,
        write: true,
        bare: true,
        fetch: true,
    };
    let probe = |mmu: &Mmu| mmu.probe(Privilege::User, Access::Read, 0x1000, 4);
    mmu.load_space(1, true);
    mmu.fill(Privilege::User, 0x1000, fill);
    mmu.load_space(2, true);
    assert_eq!(probe(&mmu), None);
    mmu.load_space(1, true);
    assert_eq!(probe(&mmu), Some(Offset(0x5000)));
    mmu.load_space(1, false);
    assert_eq!(probe(&mmu), None);
}

#[test]
fn accesses_across_pages_never_hit() {
    let mut mmu = mmu();
    let fill = Fill {
        page: Offset(0),
        size: Size::Small,
        global: false,
        user: true,
        read: true,
        write: true,
        bare: true,
        fetch: true,
    };
    mmu.fill(Privilege::User, 0x1000, fill);
    mmu.fill(Privilege::User, 0x2000, fill);
    assert!(
        mmu.probe(Privilege::User, Access::Read, 0x1ffc, 4)
            .is_some()
    );
    assert!(
        mmu.probe(Privilege::User, Access::Read, 0x1ffd, 4)
            .is_none()
    );
}

#[test]
fn invlpg_of_a_page_without_code_changes_no_key() {
    let mut mmu = mmu();
    mmu.note_code(0x40_0000);
    let keys = |mmu: &Mmu| (mmu.key(0), mmu.key(u64::MAX));
    let before = keys(&mmu);
    mmu.invalidate(0x50_0000);
    assert_eq!(keys(&mmu), before);
    mmu.invalidate(0x40_0123);
    let after = keys(&mmu);
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, before.1, "the other half");
}

#[test]
fn keys_of_the_upper_half_outlive_cr3_while_it_is_global() {
    let mut mmu = mmu();
    let upper = mmu.key(u64::MAX);
    let lower = mmu.key(0);
    mmu.load_space(0, false);
    assert_eq!(mmu.key(u64::MAX), upper);
    assert_ne!(mmu.key(0), lower);
    let fill = Fill {
        page: Offset(0),
        size: Size::Small,
        global: false,
        user: true,
        read: true,
        write: true,
        bare: true,
        fetch: true,
    };
    mmu.fill(Privilege::SupervisorAll, 1 << 63, fill);
    mmu.load_space(0, false);
    assert_ne!(mmu.key(u64::MAX), upper);
}

#[test]
fn no_key_comes_twice() {
    let mut mmu = mmu();
    let mut seen = HashSet::new();
    for _ in 0..3 * u32::from(LAST_ASN) {
        mmu.load_space(7, false);
        assert!(seen.insert(mmu.key(0)));
        assert!(mmu.next_asn <= LAST_ASN + 1);
    }
}

#[test]
fn keys_that_are_not_live_do_not_come_again() {
    let mut mmu = mmu();
    let mut numbers = Numbers(7);
    let (mut seen, mut dead) = (HashSet::new(), HashSet::new());
    for _ in 0..20_000 {
        let pcid = numbers.below(5) as u16;
        let page = numbers.below(4) << 12;
        match numbers.below(64) {
            0 => mmu.flush_all(pcid),
            1 => mmu.flush_local(pcid),
            2..5 => mmu.forget(pcid),
            5..8 => mmu.invalidate(page),
            8..10 => mmu.invalidate(1 << 63 | page),
            10..30 => mmu.load_space(pcid, false),
            30..60 => mmu.load_space(pcid, true),
            _ => mmu.note_code(page | numbers.below(2) << 63),
        }
        for key in [mmu.key(0), mmu.key(u64::MAX)] {
            assert!(mmu.is_live(key) && !dead.contains(&key), "{key:#x}");
            seen.insert(key);
        }
        dead.extend(seen.extract_if(|&key| !mmu.is_live(key)));
    }
    assert!(dead.len() > 1000, "{}", dead.len());
    assert!(seen.len() <= 8, "{seen:x?}");
}

#[test]
fn many_spaces_take_turns_in_user_tables() {
    let mut mmu = mmu();
    let fill = |page| Fill {
        page: Offset(page << 12),
        size: Size::Small,
        global: false,
        user: true,
        read: true,
        write: true,
        bare: true,
        fetch: true,
    };
    let probe = |mmu: &Mmu| mmu.probe(Privilege::User, Access::Read, 0x1000, 4);
    for round in 0..3 {
        for pcid in 0..12 {
            mmu.load_space(pcid, true);
            let found = probe(&mmu);
            assert!(found.is_none() || round > 0 && found == Some(Offset(u64::from(pcid) << 12)));
            mmu.fill(Privilege::User, 0x1000, fill(u64::from(pcid)));
            mmu.privilege = Privilege::User;
            let table = mmu.base();
            mmu.privilege = Privilege::UserAligned;
            assert_ne!(table, mmu.base());
        }
    }
    for pcid in (5..12).rev() {
        mmu.load_space(pcid, true);
        assert_eq!(probe(&mmu), Some(Offset(u64::from(pcid) << 12)));
    }
    let table = mmu.base_of(Privilege::User);
    mmu.load_space(5, false);
    assert_eq!(
        mmu.base_of(Privilege::User),
        mmu.base_of(Privilege::UserAligned)
    );
    mmu.fill(Privilege::User, 0x1000, fill(9));
    assert_eq!(mmu.base_of(Privilege::User), table, "the warm one");
}

#[test]
fn kernels_of_32_bits_keep_their_global_pages() {
    let mut mmu = mmu();
    let fill = |global| Fill {
        page: Offset(0x5000),
        size: Size::Small,
        global,
        user: true,
        read: true,
        write: true,
        bare: true,
        fetch: true,
    };
    let probe = |mmu: &Mmu, at| mmu.probe(Privilege::SupervisorAll, Access::Write, at, 4);
    mmu.fill(Privilege::SupervisorAll, 0xc010_0000, fill(true));
    mmu.fill(Privilege::SupervisorAll, 0x0804_8000, fill(false));
    let key = mmu.key(0xc010_0000);
    mmu.load_space(0, false);
    assert_eq!(probe(&mmu, 0xc010_0000), Some(Offset(0x5000)));
    assert_eq!(probe(&mmu, 0x0804_8000), None);
    assert_eq!(mmu.key(0xc010_0000), key);
    assert_ne!(mmu.key(0x0804_8000), key);
    mmu.set_long(true);
    assert_eq!(probe(&mmu, 0xc010_0000), None);
    assert_eq!(mmu.key(0xc010_0000), mmu.key(0));
}

#[test]
fn kernel_pages_are_known_with_smap_open_and_closed() {
    let mut mmu = mmu();
    let fill = |user| Fill {
        page: Offset(0x5000),
        size: Size::Small,
        global: false,
        user,
        read: true,
        write: true,
        bare: true,
        fetch: false,
    };
    let probe = |mmu: &Mmu, privilege, at| mmu.probe(privilege, Access::Write, at, 4);
    mmu.fill(Privilege::Supervisor, 1 << 63, fill(false));
    mmu.fill(Privilege::SupervisorAll, 0x1000, fill(true));
    assert!(probe(&mmu, Privilege::SupervisorAll, 1 << 63).is_some());
    assert!(probe(&mmu, Privilege::Supervisor, 0x1000).is_none());
    mmu.invalidate(1 << 63);
    assert!(probe(&mmu, Privilege::Supervisor, 1 << 63).is_none());
    assert!(probe(&mmu, Privilege::SupervisorAll, 1 << 63).is_none());
}
