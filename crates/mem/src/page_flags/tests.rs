use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Gpa, GuestRam, Offset, PageFlags, Requests, Runner};

const PAGE: u64 = 3;
const AT: Offset = Offset(PAGE << 12);

fn ram() -> GuestRam {
    GuestRam::new(&[(Gpa(0), 0x10000)]).unwrap()
}

fn runner(ram: &GuestRam, vcpu: u32) -> (Arc<Runner>, Arc<AtomicBool>) {
    let expelled = Arc::new(AtomicBool::new(false));
    let set = expelled.clone();
    let expel = move || set.store(true, Ordering::SeqCst);
    (ram.flags().register(vcpu, Box::new(expel)), expelled)
}

/// A store as generated code makes it.
fn store_bare(ram: &GuestRam, at: Offset, value: u64) {
    // SAFETY: `pointer` checks the bounds; aligned.
    let cell = unsafe { AtomicU64::from_ptr(ram.pointer(at, 8).as_ptr().cast()) };
    cell.store(value, Ordering::Relaxed);
}

fn told(pages: &[u64]) -> Requests {
    Requests {
        told: pages.to_vec(),
        ..Requests::default()
    }
}

#[test]
fn a_write_ends_the_watch_of_a_page() {
    let ram = ram();
    let version = ram.flags().watch_code(PAGE);
    assert_eq!(ram.flags().watch_code(PAGE), version);
    assert!(ram.store(AT, 1_u32));
    assert_ne!(ram.flags().version(PAGE), version);
    assert!(!ram.store(AT, 2_u32), "it is a plain page again");
    assert_eq!(ram.flags().get(PAGE), 0);
    assert_eq!(ram.flags().churn(PAGE), 1);
}

#[test]
fn a_page_of_code_and_data_stays_watched_until_it_is_data_alone() {
    let ram = ram();
    for churn in 0..20 {
        assert_eq!(ram.flags().churn(PAGE), churn);
        let version = ram.flags().watch_code(PAGE);
        ram.store(AT, 1_u32);
        assert_ne!(ram.flags().version(PAGE), version);
    }
    assert!(ram.store(AT, 1_u32), "still watched");
    let more = (0..1000).take_while(|_| ram.store(AT, 1_u32)).count();
    assert!(more < 100, "watched for {more} writes");
    ram.flags().watch_code(PAGE);
    ram.copy_in(AT, &[0; 4096]);
    assert_eq!(ram.flags().churn(PAGE), 0, "written as a whole");
}

#[test]
fn who_claimed_writes_is_asked_to_tell_them() {
    let ram = ram();
    let flags = ram.flags();
    let (one, expelled) = runner(&ram, 1);
    let (other, _) = runner(&ram, 2);
    assert!(one.enter());
    one.leave();
    assert!(flags.claim_writes(PAGE, 1));
    assert!(flags.claim_writes(PAGE, 1));
    flags.watch_code(PAGE);
    assert!(!flags.claim_writes(PAGE, 1) && !flags.claim_writes(PAGE, 2));
    assert!(!one.enter() && other.enter());
    assert_eq!(one.take(), told(&[PAGE]));
    assert_eq!(one.take(), Requests::default());
    assert!(one.enter());
    assert!(!expelled.load(Ordering::SeqCst), "it was outside");
    assert!(ram.store(AT, 1_u8));
    assert!(flags.claim_writes(PAGE, 2), "after the watch");
}

#[test]
fn a_vcpu_that_takes_no_requests_has_few() {
    let ram = ram();
    let (one, _) = runner(&ram, 0);
    for _ in 0..1000 {
        assert!(ram.flags().claim_writes(PAGE, 0));
        ram.flags().watch_code(PAGE);
        ram.copy_in(AT, &[0; 4096]);
    }
    let requests = one.take();
    assert!(requests.any_told && requests.told.is_empty());
}

#[test]
fn holders_are_told_once() {
    let ram = ram();
    let flags = ram.flags();
    let (one, expelled) = runner(&ram, 0);
    let version = flags.watch_code(PAGE);
    assert!(flags.hold_code(PAGE, 0, version));
    assert!(one.enter());
    ram.store(AT, 1_u8);
    assert!(expelled.load(Ordering::SeqCst));
    one.leave();
    assert_eq!(one.take().stale, [PAGE]);
    flags.watch_code(PAGE);
    ram.store(AT, 1_u8);
    assert!(!one.is_asked());
    assert!(!flags.hold_code(PAGE, 0, version), "that is long ago");
}

#[test]
fn logged_writes_are_told_until_the_page_is_dirty() {
    let ram = ram();
    let flags = ram.flags();
    let (one, _) = runner(&ram, 0);
    assert!(flags.claim_writes(PAGE, 0));
    flags.log(true);
    assert!(!one.enter() && one.take().any_told);
    assert!(!flags.claim_writes(PAGE, 0));
    ram.store(AT, 1_u8);
    assert!(flags.claim_writes(PAGE, 0));
    assert_eq!(flags.take_dirty(), [PAGE]);
    assert!(!one.enter() && one.take().any_told);
    assert!(!flags.claim_writes(PAGE, 0));
    flags.log(false);
    assert!(flags.claim_writes(PAGE, 0));
}

/// One vCPU stores, bare while it may, and the other decodes: what changed after the decoding has another version.
/// In every other round the decoder begins when the store is still to come, inside of generated code.
#[test]
fn bare_stores_are_never_missed() {
    const ROUNDS: u64 = 600;
    let ram = ram();
    let (runner, expelled) = runner(&ram, 1);
    let (meeting, inside) = (Meeting::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            runner.adopt();
            let mut may = false;
            for round in 0..ROUNDS {
                meeting.meet();
                let is_late = round % 2 == 1;
                may |= ram.flags().claim_writes(PAGE, 1);
                assert!(may || !is_late, "the page is plain");
                spin(round * 7 % 640);
                while !runner.enter() {
                    may &= !runner.take().told.contains(&PAGE);
                }
                inside.store(true, Ordering::SeqCst);
                while is_late && !expelled.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
                if may {
                    store_bare(&ram, AT, round + 1);
                }
                runner.leave();
                if !may {
                    ram.store(AT, round + 1);
                }
                meeting.meet();
            }
        });
        for round in 0..ROUNDS {
            // A fresh page, as plain data.
            let mut page = [0; 4096];
            page[..8].copy_from_slice(&round.to_le_bytes());
            ram.copy_in(AT, &page);
            inside.store(false, Ordering::SeqCst);
            expelled.store(false, Ordering::SeqCst);
            if round % 2 == 1 {
                // What the round before asked for.
                let _ = runner.take();
            }
            meeting.meet();
            while round % 2 == 1 && !inside.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            spin(round * 5 % 770);
            let version = ram.flags().watch_code(PAGE);
            let seen: u64 = ram.load(AT);
            assert!(seen == round + 1 || seen == round && round % 2 == 0);
            meeting.meet();
            if seen != ram.load(AT) {
                assert_ne!(ram.flags().version(PAGE), version, "round {round}");
            }
        }
    });
}

/// One vCPU changes code and says so by a plain store; the other, in translated code, never sees that store before
/// it has given up the old translation.
#[test]
fn old_translations_are_gone_before_later_stores_are_seen() {
    const ROUNDS: u64 = 1_000;
    const NOTE: Offset = Offset(0x1000);
    let ram = ram();
    let (runner, expelled) = runner(&ram, 0);
    let (writer, _) = self::runner(&ram, 1);
    let mut seen = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.adopt();
            for round in 1..=ROUNDS {
                ram.store(AT, round);
                ram.store(NOTE, round);
                spin(round * 7 % 900);
            }
        });
        runner.adopt();
        let mut translation = None;
        while seen < ROUNDS {
            while !runner.enter() {
                if runner.take().stale.contains(&PAGE) {
                    translation = None;
                }
            }
            if let Some(code) = translation {
                while !expelled.load(Ordering::Relaxed) && seen < ROUNDS {
                    let note: u64 = ram.load(NOTE);
                    assert!(note <= code, "ran {code} after {note}");
                    seen = seen.max(note);
                }
            }
            runner.leave();
            expelled.store(false, Ordering::SeqCst);
            if translation.is_none() {
                let version = ram.flags().watch_code(PAGE);
                let code: u64 = ram.load(AT);
                let good = ram.flags().hold_code(PAGE, 0, version);
                translation = good.then_some(code);
            }
        }
    });
}

/// Where two threads wait for each other, without sleep, so that they go on together.
#[derive(Default)]
struct Meeting(AtomicU64);

impl Meeting {
    fn meet(&self) {
        let begin = std::time::Instant::now();
        let round = self.0.fetch_add(1, Ordering::SeqCst) / 2;
        for look in 0_u64.. {
            if self.0.load(Ordering::SeqCst) / 2 > round {
                return;
            }
            if look % 256 == 255 {
                std::thread::yield_now();
            }
            let waited = look % (1 << 16) == 0 && begin.elapsed().as_secs() >= 60;
            assert!(!waited, "the other thread is gone");
        }
    }
}

fn spin(times: u64) {
    for _ in 0..times {
        std::hint::spin_loop();
    }
}

#[test]
fn versions_of_pages_do_not_repeat() {
    let ram = ram();
    let flags: &PageFlags = ram.flags();
    let mut last = flags.version(PAGE);
    for _ in 0..300 {
        flags.watch_code(PAGE);
        ram.store(AT, 0_u8);
        assert!(flags.version(PAGE) > last);
        last = flags.version(PAGE);
    }
}
