//! The devices that the spec asks for, in PCI slots from 1 on.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex};

use backend::disk;
use device::pci::{Address, Function, Root, Windows};
use iface::{Char, Disk, Engine, Lifecycle, Nic};
use mem::GuestRam;
use nvme::Nvme;
use virtio::console::Terminal;
use virtio::pci::{Attachment, Keeper, Shared, VirtioPci};
use virtio::{Balloon, Block, Console, Fs, Net, Rng, Serial, VirtioDevice, Vsock};

use crate::chipset::Messages;
use crate::layout::{PCI_PORTS, PCI_WINDOW, PCI_WINDOW_64, PCI_WINDOW_64_LEN, PCI_WINDOW_LEN};
use crate::spec::{self, Bus, Cache, Device, Network, UserNetwork};
use crate::{Error, Spec};

/// Slots behind the host bridge's.
const SLOTS: usize = 31;

/// Most queues of a disk or an interface, each of which has a thread.
const QUEUES_MAX: u32 = 4;

/// Those that have work of their own in flight.
#[derive(Default)]
pub(crate) struct Peripherals {
    lifecycles: Vec<Box<dyn Lifecycle>>,
    disks: Vec<Arc<dyn Disk>>,
    terminal: Option<Terminal>,
    sockets: Vec<Arc<backend::Vsock>>,
    ports: Vec<Arc<backend::Port>>,
    /// What a system may start from.
    first_disk: Option<FirstDisk>,
}

/// The disk that a system starts from.
#[derive(Clone)]
pub(crate) struct FirstDisk {
    /// What it is kept in.
    pub(crate) image: Arc<dyn Disk>,
    /// What Linux calls it.
    pub(crate) device: &'static str,
}

impl Peripherals {
    /// Makes the devices and gives them their addresses.
    pub(crate) fn attach(
        spec: &Spec,
        root: &Root,
        ram: &Arc<GuestRam>,
        engine: &Arc<dyn Engine>,
        console: Option<Box<dyn Char>>,
    ) -> Result<Self, Error> {
        let mut slots = Slots {
            root,
            ram,
            engine: Arc::new(Messages(engine.clone())),
            free: 1..32,
            asked: spec.devices.len(),
            cpus: spec.cpus,
            packed: spec.packed_rings,
            peripherals: Self::default(),
        };
        for device in &spec.devices {
            slots.fill(device)?;
        }
        slots.serial(&spec.devices)?;
        if let Some(char) = console {
            let console = Console::new(char);
            slots.peripherals.terminal = Some(console.terminal());
            slots.virtio(console)?;
        }
        place(root);
        Ok(slots.peripherals)
    }

    /// The first disk.
    pub(crate) fn first_disk(&self) -> Option<&FirstDisk> {
        self.first_disk.as_ref()
    }

    /// What the console is plugged into became readable or writable.
    pub(crate) fn poll_console(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.poll();
        }
    }

    /// The window in which the console is shown has another size.
    pub(crate) fn resize_console(&self, columns: u16, rows: u16) {
        if let Some(terminal) = &self.terminal {
            terminal.resize(columns, rows);
        }
    }

    /// Returns when none has anything in flight.
    pub(crate) fn pause(&self) {
        for device in &self.lifecycles {
            device.pause();
        }
    }

    /// Stands still for good. What has a name on the host loses it now: threads that wait for the terminal may keep
    /// the rest until the process ends.
    pub(crate) fn end(&self) {
        self.pause();
        self.settle();
        for sockets in &self.sockets {
            sockets.close();
        }
        for port in &self.ports {
            port.close();
        }
    }

    /// Gives files what they are owed at the machine's end; nothing is in flight.
    fn settle(&self) {
        for disk in &self.disks {
            if let Err(error) = disk.settle() {
                tracing::error!(%error, "a disk's file lacks what was written last");
            }
        }
    }

    /// Lets them go on.
    pub(crate) fn resume(&self) {
        for device in &self.lifecycles {
            device.resume();
        }
    }
}

/// Gives the devices their addresses, as firmware does.
pub(crate) fn place(root: &Root) {
    let ports = u64::from(PCI_PORTS);
    let windows = Windows {
        ports: ports..0x1_0000,
        low: PCI_WINDOW.0..PCI_WINDOW.0 + PCI_WINDOW_LEN,
        high: PCI_WINDOW_64.0..PCI_WINDOW_64.0 + PCI_WINDOW_64_LEN,
    };
    root.place(&windows).expect("31 devices fit the windows");
}

/// The bus while it is filled.
struct Slots<'a> {
    root: &'a Root,
    ram: &'a Arc<GuestRam>,
    engine: Arc<Messages>,
    free: std::ops::Range<u8>,
    asked: usize,
    cpus: u32,
    packed: bool,
    peripherals: Peripherals,
}

impl Slots<'_> {
    fn fill(&mut self, device: &Device) -> Result<(), Error> {
        match device {
            Device::Balloon => self.virtio(Balloon::default()).map(drop),
            Device::Rng => self.virtio(Rng::new(file("/dev/urandom")?)).map(drop),
            Device::Disk(disk) => self.disk(disk),
            Device::Net(interface) => self.virtio(net(interface, self.cpus)?).map(drop),
            Device::Vsock(sockets) => self.vsock(sockets),
            Device::Share(folder) => self.virtio(share(folder, self.cpus)?).map(drop),
            // One device has all of them.
            Device::Port(_) => Ok(()),
        }
    }

    /// A disk with a queue for each processor.
    fn disk(&mut self, disk: &spec::Disk) -> Result<(), Error> {
        let (image, serial) = (image(disk)?, &disk.serial);
        self.peripherals.disks.push(image.clone());
        let first = &mut self.peripherals.first_disk;
        first.get_or_insert_with(|| FirstDisk {
            image: image.clone(),
            device: match disk.bus {
                Bus::Virtio => "/dev/vda",
                Bus::Nvme => "/dev/nvme0n1",
            },
        });
        let queues = self.cpus.clamp(1, QUEUES_MAX) as u16;
        match disk.bus {
            Bus::Virtio => self.virtio(Block::new(image, serial, queues)).map(drop),
            Bus::Nvme => self.nvme(image, serial, queues),
        }
    }

    fn nvme(&mut self, image: Arc<dyn Disk>, serial: &str, queues: u16) -> Result<(), Error> {
        let address = self.slot()?;
        let to = nvme::Attachment {
            ram: self.ram.clone(),
            messages: self.engine.clone(),
            line: self.root.intx(address, 1),
        };
        // Namespaces of one guest must differ, and stay what they are.
        let serial = match serial {
            "" => format!("slot-{}", address.device()),
            told => told.to_owned(),
        };
        let function = Arc::new(Mutex::new(Nvme::new(image, &serial, queues, to)));
        self.attach(address, function.clone(), nvme::Keeper(function));
        Ok(())
    }

    fn vsock(&mut self, sockets: &spec::Vsock) -> Result<(), Error> {
        let failed = |source| Error::Device {
            device: format!("socket {}", sockets.socket.display()),
            source,
        };
        let host = Arc::new(backend::Vsock::listen(&sockets.socket).map_err(failed)?);
        self.peripherals.sockets.push(host.clone());
        let device = Vsock::new(sockets.cid, host).map_err(failed)?;
        self.virtio(device).map(drop)
    }

    /// The device of the ports, if there are some.
    fn serial(&mut self, devices: &[Device]) -> Result<(), Error> {
        let mut ports: Vec<(String, Arc<dyn iface::Port>)> = Vec::new();
        for device in devices {
            let Device::Port(spec::Port { name, socket }) = device else {
                continue;
            };
            let Some(socket) = socket else {
                return Err(Error::PortSocket { name: name.clone() });
            };
            let port = backend::Port::listen(socket).map_err(|source| Error::Device {
                device: format!("port {name}: socket {}", socket.display()),
                source,
            })?;
            let port = Arc::new(port);
            self.peripherals.ports.push(port.clone());
            ports.push((name.clone(), port));
        }
        if ports.is_empty() {
            return Ok(());
        }
        let device = Serial::new(ports).map_err(|source| Error::Device {
            device: "ports".to_owned(),
            source,
        })?;
        self.virtio(device).map(drop)
    }

    fn slot(&mut self) -> Result<Address, Error> {
        let slot = self.free.next().ok_or(Error::Slots {
            asked: self.asked,
            max: SLOTS,
        })?;
        Ok(Address::new(slot, 0).expect("a slot of the bus"))
    }

    fn attach(
        &mut self,
        address: Address,
        function: Arc<Mutex<dyn Function>>,
        keeper: impl Lifecycle + 'static,
    ) {
        let attached = self.root.attach(address, function);
        attached.expect("the slot is free");
        self.peripherals.lifecycles.push(Box::new(keeper));
    }

    fn virtio<D: VirtioDevice + 'static>(&mut self, device: D) -> Result<Shared<D>, Error> {
        let address = self.slot()?;
        let function = VirtioPci::new(
            device,
            Attachment {
                ram: self.ram.clone(),
                messages: self.engine.clone(),
                doorbells: self.engine.clone(),
                line: self.root.intx(address, 1),
                packed: self.packed,
            },
        );
        let function = Arc::new(Mutex::new(function));
        self.attach(address, function.clone(), Keeper(function.clone()));
        Ok(function)
    }
}

fn file(path: &str) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Device {
        device: path.to_owned(),
        source,
    })
}

/// What a disk is kept in.
fn image(disk: &spec::Disk) -> Result<Arc<dyn Disk>, Error> {
    let format = disk.format.as_deref().map(str::parse).transpose();
    let options = disk::Options {
        format: format.map_err(|problem| disk::Error::Image {
            path: disk.path.clone(),
            problem,
        })?,
        read_only: disk.read_only,
        ephemeral: disk.ephemeral,
        direct: disk.cache == Cache::Direct,
    };
    Ok(disk::open(&disk.path, options)?)
}

/// An interface with a pair of queues for each processor, where the network has so many.
fn net(interface: &spec::Net, cpus: u32) -> Result<Net, Error> {
    let pairs = cpus.clamp(1, QUEUES_MAX) as u16;
    let failed = |device: String| |source| Error::Device { device, source };
    let mut nic: Arc<dyn Nic> = match &interface.network {
        Network::Tap(name) => {
            let tap = backend::net::Tap::open(name, pairs);
            Arc::new(tap.map_err(failed(format!("network tap:{name}")))?)
        }
        Network::User(network) => {
            let user = backend::net::User::new(&options(network));
            Arc::new(user.map_err(failed("network user".to_owned()))?)
        }
    };
    if let Some(path) = &interface.pcap {
        let capture = backend::net::Capture::new(nic, path);
        nic = Arc::new(capture.map_err(failed(path.display().to_string()))?);
    }
    let mac = match interface.mac {
        Some(mac) => mac,
        None => random_mac()?,
    };
    Ok(Net::new(nic, mac))
}

fn options(network: &UserNetwork) -> backend::net::user::Options {
    let forward = |forward: &spec::Forward| backend::net::user::Forward {
        protocol: match forward.protocol {
            spec::Protocol::Tcp => backend::net::user::Protocol::Tcp,
            spec::Protocol::Udp => backend::net::user::Protocol::Udp,
        },
        host: forward.host,
        guest: forward.guest,
    };
    backend::net::user::Options {
        forwards: network.forwards.iter().map(forward).collect(),
        host_loopback: network.host_loopback,
    }
}

/// A shared folder, with a queue for each processor.
fn share(folder: &spec::Share, cpus: u32) -> Result<Fs, Error> {
    let queues = cpus.clamp(1, QUEUES_MAX) as u16;
    let server = backend::Share::open(&folder.path, folder.read_only);
    let device = server.and_then(|server| Fs::new(Arc::new(server), &folder.tag, queues));
    device.map_err(|source| Error::Device {
        device: format!("shared folder {}", folder.path.display()),
        source,
    })
}

/// An address that nobody else has: unicast, locally administered.
///
/// # Errors
/// When the host gives no random numbers.
pub fn random_mac() -> Result<[u8; 6], Error> {
    let (path, mut mac) = ("/dev/urandom", [0; 6]);
    let read = file(path)?.read_exact(&mut mac);
    read.map_err(|source| Error::Device {
        device: path.to_owned(),
        source,
    })?;
    mac[0] = 0x02;
    Ok(mac)
}
