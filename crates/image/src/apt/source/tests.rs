use super::*;

const STANZAS: &str = "\
Types: deb deb-src
# a remark in the middle
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEYAAA
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://other.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://tools.example/node
Suites: nodistro
Components: main
";

#[test]
fn stanzas_are_taken_apart() {
    let sources = stanzas(STANZAS);
    let seen: Vec<_> = sources
        .iter()
        .map(|source| (source.uri.as_str(), source.suite.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("http://mirror.example/debian", "bookworm"),
            ("http://mirror.example/debian", "bookworm-updates"),
            (
                "http://mirror.example/debian-security/",
                "bookworm-security"
            ),
            ("http://tools.example/node", "nodistro"),
        ]
    );
    assert_eq!(sources[0].components, ["main", "contrib"]);
}

#[test]
fn another_release_keeps_mirror_and_keys() {
    let text = derive(&stanzas(STANZAS), "trixie").unwrap();
    assert_eq!(
        text,
        "\
Types: deb
URIs: http://mirror.example/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security/
Suites: trixie-security
Components: main
Signed-By: 
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEYAAA
 -----END PGP PUBLIC KEY BLOCK-----
"
    );
    // What is written is read back as it was.
    let again = stanzas(&text);
    assert_eq!(again.len(), 2);
    assert_eq!(derive(&again, "trixie").unwrap(), text);
}

#[test]
fn lines_with_and_without_options() {
    let text = "\
# deb http://old.example/debian bookworm main
deb http://mirror.example/debian stable main non-free-firmware # the mirror
deb-src http://mirror.example/debian stable main
deb [ arch=amd64,i386 signed-by=/k/a.gpg,/k/b.gpg ] http://mirror.example/debian/ sid main
deb [trusted=yes] file:/srv/debian-security stable/updates main
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
";
    let sources = lines(text);
    assert_eq!(sources.len(), 4);
    assert_eq!(
        derive(&sources, "bookworm").unwrap(),
        "\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://mirror.example/debian/
Suites: bookworm
Components: main
signed-by: /k/a.gpg /k/b.gpg

Types: deb
URIs: file:/srv/debian-security
Suites: bookworm-security
Components: main
trusted: yes
"
    );
}

#[test]
fn only_debian_itself_counts() {
    let foreign = "\
deb http://archive.example/ubuntu noble main
deb http://vendor.example/debian/12/prod bookworm main
deb http://vendor.example/linux/debian bookworm stable
deb http://vendor.example/debian bookworm-pgdg main
deb http://vendor.example/debian-security bookworm-security main
";
    assert_eq!(derive(&lines(foreign), "bookworm"), None);
    let snapshot = "deb http://snapshots.example/archive/debian/20260520T000000Z bookworm main\n";
    assert!(
        derive(&lines(snapshot), "bookworm")
            .unwrap()
            .contains("debian/20260520T000000Z\nSuites: bookworm\n")
    );
    let by_list = "deb mirror+file:/etc/apt/mirrors/debian.list bookworm main\n";
    assert!(derive(&lines(by_list), "trixie").is_some());
}

#[test]
fn rubbish_is_no_source() {
    for text in [
        "deb",
        "deb ",
        "deb [a=b",
        "deb x",
        "\n\n",
        ": :\n",
        " leading\n",
        "Types: deb\nURIs: x\n",
    ] {
        assert_eq!(derive(&lines(text), "sid"), None);
        assert_eq!(derive(&stanzas(text), "sid"), None);
    }
}
