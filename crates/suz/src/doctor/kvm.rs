//! KVM, and whether there is hardware behind it.

use kvm::{Findings, Host};

use super::Finding;

/// What brings hardware virtualization into a virtual machine.
const NESTED: &str = "run on the bare machine, or let whoever runs this virtual machine enable nested virtualization";

pub(super) fn findings() -> Vec<Finding> {
    const NAME: &str = "KVM";
    let host = match Host::open() {
        Ok(host) => host,
        Err(error) => {
            let text = error.to_string().replace("; or use --engine soft", "");
            let (what, advice) = text.rsplit_once(": ").unwrap_or((text.as_str(), NESTED));
            return vec![Finding::lacking(NAME, what, advice)];
        }
    };
    let most = host.most_cpus();
    let mut findings = vec![Finding::good(
        NAME,
        format!(
            "{} can be opened; machines of up to {most} CPUs",
            kvm::DEVICE
        ),
    )];
    match kvm::examine(host) {
        Ok(found) => findings.extend(speed(&found)),
        Err(error) => findings.push(Finding::lacking("KVM's speed", error.to_string(), NESTED)),
    }
    findings
}

fn speed(found: &Findings) -> Vec<Finding> {
    let what = format!(
        "{:.0} million steps a second of a counting loop",
        found.speed
    );
    let mut findings = vec![if found.speed >= kvm::HARDWARE_SPEED {
        Finding::good("KVM's speed", what)
    } else {
        let what = format!(
            "{what}, where hardware makes {} or more",
            kvm::HARDWARE_SPEED
        );
        Finding::lacking("KVM's speed", what, NESTED)
    }];
    let foreign = found.quirks.iter().filter(|quirk| !quirk.is_native());
    let quirks: Vec<_> = foreign.map(ToString::to_string).collect();
    findings.push(if quirks.is_empty() {
        Finding::good("KVM's conduct", "as that of a processor")
    } else {
        Finding::lacking("KVM's conduct", quirks.join("; "), NESTED)
    });
    findings
}
