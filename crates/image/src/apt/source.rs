//! The host's apt sources, and what they become for another release of Debian.
//!
//! Both of apt's formats are read: stanzas (`*.sources`) and lines (`sources.list`, `*.list`).

/// One archive that the host's apt may use: one URI with one suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    uri: String,
    suite: String,
    components: Vec<String>,
    /// Options as in a stanza (`Signed-By`, `Trusted`), values verbatim, with their continuation lines.
    options: Vec<(String, String)>,
}

/// What part of Debian a suite is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Base,
    Updates,
    Security,
}

/// Names that a release of Debian goes by; anything else is another distribution or a third party.
const RELEASES: [&str; 12] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "unstable",
    "testing",
    "stable",
    "oldstable",
    "oldoldstable",
];

/// Options that limit an entry to what the host wants from it.
const HOST_LIMITS: [&str; 7] = [
    "arch",
    "architectures",
    "lang",
    "languages",
    "target",
    "targets",
    "enabled",
];

/// Reads the stanza format.
pub(crate) fn stanzas(text: &str) -> Vec<Source> {
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    paragraphs(&text)
        .iter()
        .flat_map(|stanza| stanza_sources(stanza))
        .collect()
}

/// Fields of each paragraph; a line that starts with white space continues the field before it.
pub(crate) fn paragraphs(text: &str) -> Vec<Vec<(String, String)>> {
    let mut all = vec![Vec::<(String, String)>::new()];
    for line in text.lines() {
        let stanza = all
            .last_mut()
            .expect("the list starts with one paragraph and only grows");
        if line.trim().is_empty() {
            all.push(Vec::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line.trim_end());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    all.retain(|stanza| !stanza.is_empty());
    all
}

/// The value of a field, whatever its case.
pub(crate) fn field<'a>(stanza: &'a [(String, String)], name: &str) -> Option<&'a str> {
    stanza
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

fn stanza_sources(stanza: &[(String, String)]) -> Vec<Source> {
    let words = |name| -> Vec<&str> {
        field(stanza, name)
            .unwrap_or("")
            .split_whitespace()
            .collect()
    };
    let disabled = ["no", "false", "without", "off", "disable", "0"];
    if !words("Types").contains(&"deb")
        || field(stanza, "Enabled").is_some_and(|value| disabled.contains(&value))
    {
        return Vec::new();
    }
    let own = ["types", "uris", "suites", "components"];
    let options: Vec<_> = stanza
        .iter()
        .filter(|(key, _)| !own.contains(&key.to_ascii_lowercase().as_str()))
        .cloned()
        .collect();
    let components: Vec<String> = words("Components").into_iter().map(str::to_owned).collect();
    let mut sources = Vec::new();
    for uri in words("URIs") {
        for suite in words("Suites") {
            sources.push(Source {
                uri: uri.to_owned(),
                suite: suite.to_owned(),
                components: components.clone(),
                options: options.clone(),
            });
        }
    }
    sources
}

/// Reads the one-line format.
pub(crate) fn lines(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| line_source(line.split('#').next().unwrap_or("")))
        .collect()
}

fn line_source(line: &str) -> Option<Source> {
    let rest = line
        .trim()
        .strip_prefix("deb")?
        .strip_prefix([' ', '\t'])?
        .trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let options = options
        .split_whitespace()
        .filter_map(|option| option.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace(',', " ")))
        .collect();
    Some(Source {
        uri: words.next()?,
        suite: words.next()?,
        components: words.collect(),
        options,
    })
}

impl Source {
    /// Which part of Debian's own archive this is, if it is one and has what guests are made of.
    fn kind(&self) -> Option<Kind> {
        let suffixes = [
            ("-security", Kind::Security),
            ("/updates", Kind::Security),
            ("-updates", Kind::Updates),
            ("", Kind::Base),
        ];
        let (release, kind) = suffixes
            .into_iter()
            .find_map(|(suffix, kind)| Some((self.suite.strip_suffix(suffix)?, kind)))?;
        let is_main = self.components.iter().any(|component| component == "main");
        let is_timestamp =
            |part: &str| part.len() == 16 && part.ends_with('Z') && part.as_bytes()[8] == b'T';
        let folder = self
            .uri
            .split('/')
            .rfind(|part| !part.is_empty() && !is_timestamp(part))?;
        let is_debian = folder.starts_with("debian") && !self.uri.starts_with("cdrom:");
        (is_main && is_debian && RELEASES.contains(&release)).then_some(kind)
    }

    /// The same archive's entry for `release`, in stanza format; the host's choice of keys is kept.
    fn stanza(&self, kind: Kind, release: &str) -> String {
        let suite = match kind {
            Kind::Base => release.to_owned(),
            Kind::Updates => format!("{release}-updates"),
            Kind::Security => format!("{release}-security"),
        };
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n",
            self.uri
        );
        for (key, value) in &self.options {
            if !HOST_LIMITS.contains(&key.to_ascii_lowercase().as_str()) {
                text.push_str(&format!("{key}: {value}\n"));
            }
        }
        text
    }
}

/// The sources of Debian `release`, in stanza format, from the mirrors that the host uses for Debian: what guests are
/// made of.
///
/// None if the host uses none.
pub(crate) fn derive(host: &[Source], release: &str) -> Option<String> {
    derive_kinds(host, release, &[Kind::Base, Kind::Security])
}

/// The same for a system of its own: with the updates between two versions of the release, where the host has them.
pub(crate) fn derive_all(host: &[Source], release: &str) -> Option<String> {
    derive_kinds(host, release, &[Kind::Base, Kind::Updates, Kind::Security])
}

fn derive_kinds(host: &[Source], release: &str, kinds: &[Kind]) -> Option<String> {
    let mut stanzas: Vec<String> = Vec::new();
    for source in host {
        if let Some(kind) = source.kind().filter(|kind| kinds.contains(kind)) {
            let stanza = source.stanza(kind, release);
            if !stanzas.contains(&stanza) {
                stanzas.push(stanza);
            }
        }
    }
    let has_base = host.iter().any(|source| source.kind() == Some(Kind::Base));
    has_base.then(|| stanzas.join("\n"))
}

#[cfg(test)]
mod tests;
