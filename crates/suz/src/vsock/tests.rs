use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use super::*;

/// A socket at which the answers to one connection after the other are these.
fn listener(name: &str, answers: &'static [&'static str]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("suz-vsock-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 11];
            stream.read_exact(&mut asked).unwrap();
            assert_eq!(&asked, b"CONNECT 22\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    path
}

#[test]
fn what_follows_the_answer_is_the_guests() {
    let path = listener("ok", &["OK 1073741824\nSSH-2.0\n"]);
    let mut stream = connect(&path, 22).unwrap().unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "SSH-2.0\n");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_guest_that_does_not_listen_yet_is_waited_for() {
    let path = listener("wait", &["", "", "OK 1\n"]);
    connect_within(&path, 22, Duration::from_secs(20)).unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_reset_is_no_error_of_one_that_has_said_everything() {
    // A guest's side that has answered, and hangs up without having read.
    let reset = |input: UnixStream| {
        let (ours, mut guests) = UnixStream::pair().unwrap();
        (&ours).write_all(b"not read").unwrap();
        guests.write_all(b"answer").unwrap();
        drop(guests);
        let mut heard = Vec::new();
        let ended = pump(&ours, input, &mut heard);
        assert_eq!(heard, b"answer");
        ended.map_err(|error| error.kind())
    };
    let (ended, _) = UnixStream::pair().unwrap();
    assert_eq!(reset(ended), Ok(()));
    let (open, _typing) = UnixStream::pair().unwrap();
    assert_eq!(reset(open), Err(io::ErrorKind::ConnectionReset));
}

#[test]
fn nobody_and_nonsense_are_told() {
    let path = listener(
        "bad",
        &[
            "",
            "NO\n",
            "OK x\n",
            "OK 111111111111111111111111111111111111",
        ],
    );
    let line = connect_within(&path, 22, Duration::ZERO).unwrap_err();
    assert_eq!(
        line.to_string(),
        "nobody listens at vsock port 22 of the guest"
    );
    for _ in 0..3 {
        let line = connect(&path, 22).unwrap_err().to_string();
        assert!(line.contains("to CONNECT"), "{line}");
    }
    std::fs::remove_file(path).unwrap();
}
