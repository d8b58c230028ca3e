use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use backend::Console;
use machine::Machine;
use machine::spec::Boot;

use super::*;

const SOON: Duration = Duration::from_secs(10);

/// A machine that spins, and its control socket.
struct Rig {
    folder: PathBuf,
    machine: Machine,
    console: Console,
    hub: backend::Hub,
    server: Option<Server>,
}

impl Rig {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("suz-control-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let kernel = folder.join("kernel");
        std::fs::write(&kernel, spinning()).unwrap();
        let mut spec = Spec::new(Boot {
            kernel: Some(kernel),
            initrd: None,
            append: String::new(),
        });
        spec.engine = EngineKind::Soft;
        spec.memory = 16 << 20;
        let (console, device) = Console::new();
        let machine = Machine::build(&spec, Box::new(device)).unwrap();
        let hub = backend::Hub::new(&console, &folder.join("console.log"));
        console.show(hub.clone(), |_| {}).unwrap();
        let subject = Subject {
            name: name.to_owned(),
            spec,
            started: Instant::now(),
            machine: machine.handle(),
            hub: hub.clone(),
        };
        let server = Some(Server::start(&folder.join("control.sock"), subject).unwrap());
        machine.handle().resume();
        Self {
            folder,
            machine,
            console,
            hub,
            server,
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.folder.join("control.sock"), "machine".to_owned())
    }

    fn stream(&self) -> UnixStream {
        let stream = connect(&self.folder.join("control.sock")).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// The answer to these bytes: status and body.
    fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = self.stream();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, body.to_owned())
    }

    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.take();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A Multiboot kernel that prints '!' and spins.
fn spinning() -> Vec<u8> {
    const AT: u32 = 0x10_0000;
    let code = [0x66, 0xba, 0xf8, 0x03, 0xb0, b'!', 0xee, 0xeb, 0xfe];
    let (magic, flags, end) = (0x1bad_b002_u32, 1_u32 << 16, AT + 32 + 9);
    let checksum = 0_u32.wrapping_sub(magic).wrapping_sub(flags);
    let header = [magic, flags, checksum, AT, AT, end, end + 4096, AT + 32];
    let header = header.iter().flat_map(|word| word.to_le_bytes());
    header.chain(code).collect()
}

#[test]
fn a_machine_is_told_paused_and_resumed() {
    let rig = Rig::new("told");
    let client = rig.client();
    let told: Description = client.get("/machine").unwrap();
    assert_eq!((&*told.name, told.state), ("told", State::Running));
    assert_eq!(
        (told.pid, told.engine),
        (std::process::id(), EngineKind::Soft)
    );
    assert_eq!(told.spec.memory, 16 << 20);
    assert!(told.stats.contains_key("KiB of guest memory touched"));
    client.put("/pause", &()).unwrap();
    client.put("/pause", &()).unwrap();
    let told: Description = client.get("/machine").unwrap();
    assert_eq!(told.state, State::Paused);
    client.put("/resume", &()).unwrap();
    let stats: Statistics = client.get("/stats").unwrap();
    assert!(!stats.is_empty());
    assert!(!rig.machine.handle().is_paused());
}

#[test]
fn power_is_taken_away_and_the_answer_still_comes() {
    let rig = Rig::new("power");
    let action = Action::Button;
    rig.client().put("/power", &Power { action }).unwrap();
    assert_eq!(rig.machine.handle().outcome(), None);
    let action = Action::Off;
    rig.client().put("/power", &Power { action }).unwrap();
    assert_eq!(rig.machine.handle().wait(), machine::Outcome::Stopped);
}

#[test]
fn bad_requests_get_one_line() {
    let rig = Rig::new("bad");
    for (method, path, body, status, line) in [
        ("GET", "/", "", 404, "there is no"),
        ("GET", "/machine/x", "", 404, "there is no"),
        ("POST", "/machine", "", 405, "GET alone"),
        ("GET", "/power", "", 405, "PUT alone"),
        ("PUT", "/power", "", 400, "the body"),
        ("PUT", "/power", "{}", 400, "missing field"),
        (
            "PUT",
            "/power",
            "{\"action\": \"on\"}",
            400,
            "unknown variant",
        ),
        (
            "PUT",
            "/power",
            "{\"action\": \"off\", \"x\": 1}",
            400,
            "unknown field",
        ),
        (
            "PUT",
            "/console/size",
            "{\"columns\": 0, \"rows\": 1}",
            400,
            "a window has",
        ),
        (
            "PUT",
            "/console/size",
            "{\"columns\": 9, \"rows\": 70000}",
            400,
            "invalid value",
        ),
        ("GET", "/console", "", 426, "Upgrade: console"),
    ] {
        let (told, answer) = rig.request(method, path, body);
        assert_eq!(told, status, "{method} {path} {body}: {answer}");
        let problem: Problem = serde_json::from_str(&answer).unwrap();
        assert!(
            problem.error.contains(line) && !problem.error.contains('\n'),
            "{}",
            problem.error
        );
    }
    assert_eq!(rig.raw("nonsense\r\n\r\n").0, 400);
    let long = "x".repeat(1 << 17);
    for endless in [
        format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"),
        format!(
            "PUT /power HTTP/1.1\r\nContent-Length: {}\r\n\r\n{long}",
            1_u64 << 40
        ),
    ] {
        // It is hung up on before it is through, whatever it takes of the answer.
        let mut stream = rig.stream();
        let _ = stream.write_all(endless.as_bytes());
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(rig.machine.handle().outcome(), None);
    rig.client().get::<Description>("/machine").unwrap();
}

#[test]
fn clients_that_say_nothing_keep_nobody_else_away() {
    let rig = Rig::new("silent");
    let silent: Vec<UnixStream> = (0..40).map(|_| rig.stream()).collect();
    let mut half = rig.stream();
    half.write_all(b"PUT /power HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        .unwrap();
    rig.client().get::<Description>("/machine").unwrap();
    drop(silent);
}

#[test]
fn the_console_comes_by_upgrade_and_has_a_size() {
    let rig = Rig::new("console");
    let (stream, seen) = rig.client().console().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut shown = seen;
    let mut from = &stream;
    while !shown.contains(&b'!') {
        let mut bytes = [0; 256];
        let count = from.read(&mut bytes).unwrap();
        assert!(count > 0);
        shown.extend(&bytes[..count]);
    }
    let size = Size {
        columns: 132,
        rows: 50,
    };
    rig.client().put("/console/size", &size).unwrap();
    rig.console.flush(SOON);
    rig.hub.finish(SOON);
    assert_eq!(from.read(&mut [0]).unwrap(), 0);
}

#[test]
fn whoever_does_not_answer_is_named() {
    let nobody = Client::new(
        std::path::Path::new("/nonexistent/control.sock"),
        "machine a".into(),
    );
    let line = format!("{:#}", nobody.get::<Description>("/machine").unwrap_err());
    assert!(
        line.starts_with("machine a does not answer well: No such file"),
        "{line}"
    );
}
