//! What options say about a machine: put into a description, or compared with one.

use std::path::Path;

use machine::Spec;
use machine::spec::{Device, Forward, Network};

use crate::cli;

/// Puts what the options ask for into a description. Relative paths, of both, are the `folder`'s from now on, where one
/// is given. What the machine has already is not added again.
pub(super) fn apply(
    asked: &cli::Machine,
    spec: &mut Spec,
    folder: Option<&Path>,
) -> anyhow::Result<()> {
    if asked.kernel.is_some() {
        spec.boot.kernel.clone_from(&asked.kernel);
    }
    if let Some(initrd) = &asked.initrd {
        spec.boot.initrd = Some(initrd.clone());
    }
    if let Some(append) = &asked.append {
        // It stands behind the demonstration guest's own.
        let is_added = asked.kernel.is_none() && spec.boot.append.ends_with(&format!(" {append}"));
        if !is_added {
            spec.boot.append.clone_from(append);
        }
    }
    spec.cpus = asked.cpus.unwrap_or(spec.cpus);
    spec.memory = asked.memory.map_or(spec.memory, |size| size.0);
    spec.engine = asked.engine.map_or(spec.engine, Into::into);
    spec.interpret |= asked.interpret;
    spec.lockstep = asked.lockstep.or(spec.lockstep);
    spec.code_cache = asked.code_cache.map_or(spec.code_cache, |size| size.0);
    spec.reboot &= !asked.no_reboot;
    spec.debug_exit |= asked.debug_exit;
    spec.console = asked.console.map_or(spec.console, Into::into);
    spec.packed_rings |= asked.packed_rings;

    let there = spec.devices.len();
    if asked.balloon {
        spec.devices.push(Device::Balloon);
    }
    let disks = asked.disk.iter().cloned().map(Device::Disk);
    spec.devices.extend(disks);
    if !(asked.net.is_empty() && publish(&asked.publish, spec)) {
        let pcap = asked.pcap.as_deref();
        let nets = cli::net::interfaces(&asked.net, &asked.publish, pcap);
        let nets = nets.map_err(anyhow::Error::msg)?;
        spec.devices.extend(nets.into_iter().map(Device::Net));
    }
    spec.devices.extend(asked.vsock.clone().map(Device::Vsock));
    let ports = asked.port.iter().cloned().map(Device::Port);
    spec.devices.extend(ports);
    let shares = asked.share.iter().cloned().map(Device::Share);
    spec.devices.extend(shares);
    if asked.ephemeral {
        for device in &mut spec.devices {
            if let Device::Disk(disk) = device {
                disk.ephemeral = true;
            }
        }
    }
    if let Some(folder) = folder {
        spec.resolve(folder);
    }
    let added = spec.devices.split_off(there);
    let is_new = |device: &Device| !spec.devices.iter().any(|old| is_same(old, device));
    let added: Vec<Device> = added.into_iter().filter(is_new).collect();
    spec.devices.extend(added);
    Ok(())
}

/// Adds ports to the user network that the machine has; whether it has one.
fn publish(ports: &[Forward], spec: &mut Spec) -> bool {
    let user = spec.devices.iter_mut().find_map(|device| match device {
        Device::Net(net) => match &mut net.network {
            Network::User(user) => Some(user),
            Network::Tap(_) => None,
        },
        _ => None,
    });
    let Some(user) = user else {
        return false;
    };
    for port in ports {
        if !user.forwards.contains(port) {
            user.forwards.push(*port);
        }
    }
    true
}

/// Whether `asked` is a device that the machine has; an interface's address and a port's place need not be told.
fn is_same(old: &Device, asked: &Device) -> bool {
    match (old, asked) {
        (Device::Net(old), Device::Net(asked)) => {
            let is_address = asked.mac.is_none() || old.mac == asked.mac;
            is_address && old.network == asked.network && old.pcap == asked.pcap
        }
        (Device::Port(old), Device::Port(asked)) => {
            let is_place = asked.socket.is_none() || old.socket == asked.socket;
            is_place && old.name == asked.name
        }
        _ => old == asked,
    }
}

/// The first respect in which what is asked for is another machine than the one that is there.
pub(super) fn difference(there: &Spec, asked: &Spec) -> Option<&'static str> {
    let devices = || {
        there.devices.len() == asked.devices.len()
            && there
                .devices
                .iter()
                .zip(&asked.devices)
                .all(|(old, asked)| is_same(old, asked))
    };
    let same = [
        ("kernel", there.boot.kernel == asked.boot.kernel),
        ("initrd", there.boot.initrd == asked.boot.initrd),
        ("command line", there.boot.append == asked.boot.append),
        ("number of processors", there.cpus == asked.cpus),
        ("memory", there.memory == asked.memory),
        ("engine", there.engine == asked.engine),
        ("console", there.console == asked.console),
        ("disks, networks or other devices", devices()),
        (
            "options",
            Spec {
                devices: Vec::new(),
                ..there.clone()
            } == Spec {
                devices: Vec::new(),
                ..asked.clone()
            },
        ),
    ];
    let different = same.iter().find(|(_, is_same)| !is_same);
    different.map(|(what, _)| *what)
}

#[cfg(test)]
mod tests;
