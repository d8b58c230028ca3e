//! As much of grub's configuration language as the first entry needs.
//!
//! Words, quotes, comments and variables that were set to a plain value. Conditions are not evaluated, and what a
//! variable has that was never set is nothing.

use std::collections::HashMap;

use super::installed::Installed;

/// The first entry of a menu that starts Linux.
pub(super) fn first_entry(text: &str) -> Option<Installed> {
    let mut variables = HashMap::new();
    let mut is_inside = false;
    let mut kernel: Option<(String, String)> = None;
    let text = text.replace("\\\n", " ");
    for line in text.lines() {
        let words = words(line, &variables);
        let Some((command, rest)) = words.split_first() else {
            continue;
        };
        match (command.as_str(), &kernel) {
            ("set", _) => {
                let pair = rest.first().and_then(|word| word.split_once('='));
                variables.extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            // The entry is over, and had no initial RAM disk.
            ("menuentry", Some(_)) => break,
            ("menuentry", None) => is_inside = true,
            ("linux" | "linux16" | "linuxefi", None) if is_inside => {
                let (path, arguments) = rest.split_first()?;
                kernel = Some((place(path), arguments.join(" ")));
            }
            ("initrd" | "initrd16" | "initrdefi", Some((kernel, arguments))) => {
                return Some(Installed {
                    kernel: kernel.clone(),
                    initrds: rest.iter().map(|path| place(path)).collect(),
                    arguments: arguments.clone(),
                });
            }
            _ => {}
        }
    }
    kernel.map(|(kernel, arguments)| Installed {
        kernel,
        initrds: Vec::new(),
        arguments,
    })
}

/// A path without the device that it may start with.
fn place(path: &str) -> String {
    match path.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((_, path)) => path.to_owned(),
        None => path.to_owned(),
    }
}

/// The words of a line. One that is nothing but a variable without value is none.
fn words(line: &str, variables: &HashMap<String, String>) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    // Whether there is a word, be it empty: quotes make one.
    let mut is_word = false;
    let mut quote = None;
    let mut rest = line.chars().peekable();
    while let Some(char) = rest.next() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (None, '\'' | '"') => (quote, is_word) = (Some(char), true),
            (None | Some('"'), '\\') => word.extend(rest.next()),
            (None | Some('"'), '$') => {
                let name = variable(&mut rest);
                word += variables.get(&name).map_or("", String::as_str);
            }
            (None, '#') if word.is_empty() && !is_word => break,
            (None, ';') => break,
            (None, ' ' | '\t') => {
                if is_word || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            _ => word.push(char),
        }
    }
    if is_word || !word.is_empty() {
        words.push(word);
    }
    words
}

/// The name of a variable, behind the dollar sign.
fn variable(rest: &mut std::iter::Peekable<std::str::Chars>) -> String {
    if rest.next_if_eq(&'{').is_some() {
        return rest.by_ref().take_while(|&char| char != '}').collect();
    }
    let mut name = String::new();
    while let Some(char) = rest.next_if(|char| char.is_alphanumeric() || *char == '_') {
        name.push(char);
    }
    name
}
