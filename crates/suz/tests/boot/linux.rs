//! Debian's Linux kernels with a busybox user space that checks the machine it runs on.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use image::Known;

use crate::guest::{Guest, Spec, initramfs, known};

/// What the user space computes; the host computes the same with the same busybox.
const COMPUTE: &str = r#"
i=0; while [ $i -lt 200 ]; do /bin/busybox true; i=$((i+1)); done; echo forks $i
seq 1 20000 | sha256sum
seq 1 20000 | md5sum
seq 1 20000 | gzip -9 | gunzip | sha512sum
awk 'BEGIN { x = 1; for (i = 1; i < 5000; i++) x = x * 1.0001 + 1 / i; printf "%.17g %.17g\n", x, x / 3 - 1e-9 }'
awk 'BEGIN { srand(7); s = 0; for (i = 0; i < 5000; i++) s += int(rand() * 1000); print s }'
echo "scale=40; sqrt(2) * 355 / 113" | bc
seq 1 3000 | sort -r | sort -n | md5sum
"#;

/// The rest of the script: who we are, and time.
const SCRIPT: &str = r#"
echo "kernel=$(uname -r)"
echo "machine=$(uname -m)"
echo "cpus=$(nproc)"
echo "online=$(cat /sys/devices/system/cpu/online)"
grep -m1 ^flags /proc/cpuinfo
echo "clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
echo compute-begin
. /compute
echo compute-end
dmesg | grep -E 'BUG:|WARNING:|Call Trace|unchecked MSR|Oops|general protection|Firmware (Bug|Warn)|rcu_.*stall' | head -20
echo checked
"#;

fn start(kernel: Known, busybox: Known, cpus: u32, name: &str, script: &str) -> Option<Guest> {
    let guest = known(kernel)?;
    let initrd = initramfs(name, busybox, script, |initramfs| {
        initramfs.file("compute", 0o644, COMPUTE.as_bytes())
    });
    let spec = Spec::new(&guest.path)
        .with("--initrd", initrd.to_str().expect("a path in UTF-8"))
        .with("--append", "console=ttyS0 quiet panic=-1")
        .with("--memory", "512M")
        .with("--cpus", cpus.to_string());
    Some(spec.start())
}

/// What the host's own run of the computations prints.
fn computed(busybox: Known) -> String {
    let guest = known(busybox).expect("busybox is required");
    // The program goes by its name, and the cache's copy is not executable. The next run finds it again.
    let cached = std::fs::canonicalize(&guest.path).expect("the cache is readable");
    let version = cached
        .components()
        .rev()
        .nth(1)
        .expect("a folder of a version");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(busybox.name())
        .join(version);
    let program = folder.join("busybox");
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    if !program.exists() {
        let fresh = folder.join(format!("{:?}", std::thread::current().id()));
        std::fs::copy(&guest.path, &fresh).expect("the cache is readable");
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755))
            .expect("our own file");
        std::fs::rename(&fresh, &program).expect("our own folder");
    }
    let script = COMPUTE.replace("/bin/busybox", program.to_str().expect("a path in UTF-8"));
    let output = Command::new(&program)
        .args(["sh", "-c", &script])
        .env("PATH", "/nonexistent")
        .output()
        .expect("busybox runs on the host");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn check(kernel: Known, busybox: Known, cpus: u32) {
    let Some(mut guest) = start(kernel, busybox, cpus, "check", SCRIPT) else {
        return;
    };
    guest.expect("kernel=");
    let release = guest.expect("\r\n");
    guest.expect("cpus=");
    assert_eq!(guest.expect("\r\n"), cpus.to_string());
    guest.expect("flags");
    let flags = guest.expect("\r\n");
    for flag in [
        "sse2", "sse4_2", "avx2", "fma", "bmi2", "aes", "sha_ni", "rdrand", "xsave", "smap",
        "x2apic",
    ] {
        assert!(
            flags.split_whitespace().any(|known| known == flag),
            "{release} does not see {flag}: {flags}"
        );
    }
    for flag in ["avx512f", "monitor", "vmx", "hle", "rtm"] {
        assert!(
            !flags.split_whitespace().any(|known| known == flag),
            "{release} sees {flag}"
        );
    }
    guest.expect("compute-begin\r\n");
    let results = guest.expect("compute-end\r\n").replace("\r\n", "\n");
    assert_eq!(
        results,
        computed(busybox),
        "{release} computes otherwise than the host"
    );
    let complaints = guest.expect("checked\r\n");
    assert_eq!(complaints, "", "{release} complains");
    assert_eq!(guest.finish(), 0);
}

macro_rules! kernels {
    ($($name:ident: $kernel:ident, $busybox:ident, $cpus:literal;)*) => {$(
        #[test]
        fn $name() {
            check(Known::$kernel, Known::$busybox, $cpus);
        }
    )*};
}

kernels! {
    cloud_kernel_on_one_cpu: Cloud, Busybox, 1;
    cloud_kernel_on_two_cpus: Cloud, Busybox, 2;
    generic_kernel_on_one_cpu: Generic, Busybox, 1;
    generic_kernel_on_two_cpus: Generic, Busybox, 2;
    i386_kernel_on_one_cpu: I686, Busybox386, 1;
    i386_pae_kernel_on_one_cpu: I686Pae, Busybox386, 1;
    i386_pae_kernel_on_two_cpus: I686Pae, Busybox386, 2;
    debian_13_cloud_kernel_on_one_cpu: CloudTrixie, Busybox, 1;
    debian_13_cloud_kernel_on_two_cpus: CloudTrixie, Busybox, 2;
    debian_11_cloud_kernel_on_one_cpu: CloudBullseye, Busybox, 1;
}

#[test]
fn extracted_vmlinux_boots_by_pvh() {
    let Some(cloud) = known(Known::Cloud) else {
        return;
    };
    let bzimage = std::fs::read(&cloud.path).expect("the kernel is readable");
    let vmlinux = image::vmlinux(&bzimage).expect("the cloud kernel holds a vmlinux");
    let path = std::env::temp_dir().join(format!("suz-test-vmlinux-{}", std::process::id()));
    std::fs::write(&path, vmlinux).expect("the temporary folder is writable");
    let initrd = initramfs(
        "pvh",
        Known::Busybox,
        "echo loader $(cat /proc/sys/kernel/bootloader_type); echo up",
        |initramfs| initramfs,
    );
    let mut guest = Spec::new(&path)
        .with("--initrd", initrd.to_str().expect("a path in UTF-8"))
        .with("--append", "console=ttyS0 quiet panic=-1")
        .start();
    let said = guest.expect("up\r\n");
    std::fs::remove_file(&path).expect("our own file");
    // The number that the kernel's PVH entry gives to a loader without Xen: 0xb0.
    assert!(
        said.contains("loader 176"),
        "the kernel was not started by PVH: {said}"
    );
    assert_eq!(guest.finish(), 0);
}

/// Guest time against the host's, each mark taken when its line arrives: the least delay of several marks counts.
#[test]
fn time_runs_at_the_hosts_pace() {
    let script = r#"
mark() { for i in 1 2 3 4 5 6 7 8; do grep -m1 '^now at' /proc/timer_list; done; echo "marked"; }
mark; sleep 10; mark; sleep 1
"#;
    let Some(mut guest) = start(Known::Cloud, Known::Busybox, 1, "pace", script) else {
        return;
    };
    let origin = Instant::now();
    let mut least_delays = [0.0_f64; 2];
    let mut times = [0.0_f64; 2];
    for (least, time) in least_delays.iter_mut().zip(&mut times) {
        let mut marks = Vec::new();
        for _ in 0..8 {
            guest.expect("now at ");
            let guest_time: f64 = guest.expect(" nsecs").parse().expect("nanoseconds");
            marks.push((guest_time / 1e9, origin.elapsed().as_secs_f64()));
        }
        guest.expect("marked");
        *least = marks
            .iter()
            .map(|(guest, host)| host - guest)
            .fold(f64::MAX, f64::min);
        *time = marks[0].1;
    }
    let drift = (least_delays[1] - least_delays[0]).abs() / (times[1] - times[0]);
    println!(
        "time in the guest drifts by {:.4} % of the host's",
        drift * 100.0
    );
    assert!(times[1] - times[0] > 9.9, "ten seconds passed");
    assert!(drift < 0.001, "{drift}");
    assert_eq!(guest.finish(), 0);
}

#[test]
fn idle_guest_costs_under_one_percent_of_a_core() {
    let Some(mut guest) = start(
        Known::Cloud,
        Known::Busybox,
        2,
        "idle",
        "echo idle-now; sleep 14; echo awake",
    ) else {
        return;
    };
    guest.expect("idle-now");
    std::thread::sleep(Duration::from_secs(2));
    let before = guest.processor_time();
    std::thread::sleep(Duration::from_secs(10));
    let used = guest.processor_time() - before;
    println!("an idle guest of 2 vCPUs used {used:?} in 10 s");
    assert!(used < Duration::from_millis(100), "{used:?} in 10 s");
    guest.expect("awake");
    assert_eq!(guest.finish(), 0);
}

#[test]
fn demonstration_guest_comes_to_its_prompt_and_obeys() {
    let mut guest = crate::guest::demonstration();
    guest.expect("suz:~# ");
    guest.send("echo $((6 * 7)) > /tmp/answer; cat /tmp/answer\n");
    guest.expect("\r\n42\r\n");
    guest.send("exit\n");
    assert_eq!(guest.finish(), 0);
}

#[test]
fn commands_from_a_pipe_wait_for_the_shell() {
    let mut guest = crate::guest::demonstration();
    guest.send("echo $((6 * 9)) > /tmp/answer\ncat /tmp/answer\nexit\n");
    guest.expect("\r\n54\r\n");
    assert_eq!(guest.finish(), 0);
}

#[test]
fn reboot_ends_the_run_with_success() {
    let Some(mut guest) = start(
        Known::Cloud,
        Known::Busybox,
        1,
        "reboot",
        "echo going; reboot -f; sleep 100",
    ) else {
        return;
    };
    guest.expect("going");
    assert_eq!(guest.finish(), 0);
}

#[test]
fn a_reboot_starts_the_same_machine_again() {
    let Some(guest) = known(Known::Cloud) else {
        return;
    };
    let script = "echo time $(date +%s); echo up on $(nproc) of $(free -m | awk '/Mem/ { print $2 }'); reboot -f";
    let initrd = initramfs("reboots", Known::Busybox, script, |initramfs| initramfs);
    let mut guest = Spec::new(&guest.path)
        .with("--initrd", initrd.to_str().expect("a path in UTF-8"))
        .with("--append", "console=ttyS0 quiet panic=-1")
        .with("--cpus", "2")
        .start_rebooting();
    let mut said = Vec::new();
    for _ in 0..3 {
        guest.expect("up on 2 of ");
        said.push(guest.expect("\r\n"));
    }
    assert!(said.iter().all(|memory| *memory == said[0]), "{said:?}");
}

#[test]
fn kernel_panic_that_resets_by_triple_fault_is_told() {
    let Some(cloud) = known(Known::Cloud) else {
        return;
    };
    let guest = Spec::new(&cloud.path)
        .with("--append", "console=ttyS0 panic=-1 reboot=t root=/dev/none")
        .start();
    let status = guest.finish();
    assert!(status != 0 && status != 2, "status {status}");
}
