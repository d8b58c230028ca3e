//! The virtio console as Debian's driver sees it, beyond bytes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

#[test]
fn the_window_has_a_size_and_may_change_it() {
    let data = std::env::temp_dir().join(format!("suz-size-{}", std::process::id()));
    let script = "
exec < /dev/hvc0 > /dev/hvc0 2>&1
echo now $(stty size)
while [ \"$(stty size)\" = '25 80' ]; do sleep 0.1; done
echo then $(stty size)
";
    let mut guest = crate::disk::start_in(
        &["env", &format!("SUZ_DATA={}", data.display())],
        "console-size",
        script,
        &[("--console", "virtio"), ("--name", "a")],
    );
    guest.expect("now 25 80");
    let mut control = UnixStream::connect(data.join("machines/a/control.sock")).unwrap();
    let body = r#"{"columns": 132, "rows": 50}"#;
    let head = "PUT /console/size HTTP/1.1\r\nHost: a\r\nContent-Length:";
    write!(control, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    control.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    guest.expect("then 50 132");
    assert_eq!(guest.finish(), 0);
    std::fs::remove_dir_all(data).unwrap();
}
