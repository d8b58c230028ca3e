//! Memory, control groups, network devices, sandboxes.

use std::fs::{self, File};
use std::path::Path;

use super::Finding;

pub(super) fn findings() -> Vec<Finding> {
    vec![
        large_pages(),
        reserved_pages(),
        control_groups(),
        taps(),
        vhost(),
        seccomp(),
        landlock(),
        namespaces(),
    ]
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// Transparent huge pages, for shared memory too, which guest RAM is.
fn large_pages() -> Finding {
    const NAME: &str = "transparent huge pages";
    const PATH: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    let advice = format!("echo advise | sudo tee {PATH}");
    let Some(text) = read(PATH) else {
        return Finding::lacking(
            NAME,
            "this kernel has none",
            "a kernel with CONFIG_TRANSPARENT_HUGEPAGE",
        );
    };
    match chosen(&text) {
        Some(mode @ ("always" | "within_size" | "advise" | "force")) => {
            Finding::good(NAME, format!("for guest memory: {mode}"))
        }
        mode => {
            let mode = mode.unwrap_or("unknown");
            Finding::lacking(NAME, format!("for guest memory: {mode}"), advice)
        }
    }
}

/// The word in brackets.
fn chosen(text: &str) -> Option<&str> {
    text.split(['[', ']']).nth(1)
}

fn reserved_pages() -> Finding {
    const NAME: &str = "reserved huge pages";
    let folder = "/sys/kernel/mm/hugepages/hugepages-2048kB";
    let free = read(&format!("{folder}/free_hugepages")).and_then(|text| text.parse::<u64>().ok());
    match free {
        Some(free) if free > 0 => Finding::good(NAME, format!("{free} of 2 MiB free")),
        Some(_) => Finding::lacking(NAME, "none reserved", "sudo sysctl vm.nr_hugepages=512"),
        None => Finding::lacking(
            NAME,
            "this kernel has none",
            "a kernel with CONFIG_HUGETLBFS",
        ),
    }
}

fn control_groups() -> Finding {
    const NAME: &str = "control groups";
    const ROOT: &str = "/sys/fs/cgroup";
    let Some(controllers) = read(&format!("{ROOT}/cgroup.controllers")) else {
        return Finding::lacking(
            NAME,
            "version 2 is not mounted",
            format!("sudo mount -t cgroup2 none {ROOT}"),
        );
    };
    let own = read("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::"));
    let folder = format!("{ROOT}{}", own.unwrap_or("/"));
    let missing: Vec<_> = ["cpu", "memory", "io"]
        .into_iter()
        .filter(|name| !controllers.split(' ').any(|have| have == *name))
        .collect();
    if !missing.is_empty() {
        let what = format!("version 2, without {}", missing.join(", "));
        return Finding::lacking(NAME, what, "boot with cgroup_no_v1=all");
    }
    if !is_writable(&folder) {
        return Finding::lacking(
            NAME,
            "version 2, but this one is not ours to divide",
            "start it by `systemd-run --user --scope -p Delegate=yes`",
        );
    }
    Finding::good(NAME, "version 2, with limits of processor, memory and I/O")
}

fn is_writable(path: &str) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::WRITE_OK).is_ok()
}

fn device(name: &'static str, path: &str, module: &str, advice: &str) -> Finding {
    match File::options().read(true).write(true).open(path) {
        Ok(_) => Finding::good(name, format!("{path} can be opened")),
        Err(_) if !Path::new(path).exists() => Finding::lacking(
            name,
            format!("no {path}"),
            format!("sudo modprobe {module}"),
        ),
        Err(error) => Finding::lacking(name, format!("{path}: {error}"), advice),
    }
}

fn taps() -> Finding {
    let advice = "sudo chmod 0666 /dev/net/tun, as most distributions have it";
    device("network taps", "/dev/net/tun", "tun", advice)
}

fn vhost() -> Finding {
    let advice = "join the group that owns it (`sudo usermod -aG kvm $USER`)";
    device(
        "network in the kernel",
        "/dev/vhost-net",
        "vhost_net",
        advice,
    )
}

fn seccomp() -> Finding {
    const NAME: &str = "sandbox by seccomp";
    if ::host::ability::seccomp() {
        Finding::good(NAME, "filters can end a process")
    } else {
        Finding::lacking(
            NAME,
            "this kernel has no filters",
            "a kernel with CONFIG_SECCOMP_FILTER",
        )
    }
}

fn landlock() -> Finding {
    const NAME: &str = "sandbox by Landlock";
    match ::host::ability::landlock() {
        Some(version) => Finding::good(NAME, format!("version {version} of its interface")),
        None => Finding::lacking(
            NAME,
            "this kernel has it not, or switched off",
            "boot with lsm=landlock,... (Linux 5.13 or later)",
        ),
    }
}

fn namespaces() -> Finding {
    const NAME: &str = "user namespaces";
    let number = |path| read(path).and_then(|text| text.parse::<u64>().ok());
    let refused = [
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            0,
            "kernel.unprivileged_userns_clone=1",
        ),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            1,
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            "/proc/sys/user/max_user_namespaces",
            0,
            "user.max_user_namespaces=10000",
        ),
    ]
    .into_iter()
    .find(|&(path, value, _)| number(path) == Some(value));
    if !Path::new("/proc/self/ns/user").exists() {
        return Finding::lacking(NAME, "this kernel has none", "a kernel with CONFIG_USER_NS");
    }
    match refused {
        Some((path, value, setting)) => Finding::lacking(
            NAME,
            format!("{path} is {value}"),
            format!("sudo sysctl {setting}"),
        ),
        None => Finding::good(NAME, "a machine's process can have its own"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_word_is_in_brackets() {
        assert_eq!(chosen("always [never] madvise"), Some("never"));
        assert_eq!(chosen("never"), None);
    }
}
