//! Lists in one argument: parts between commas; a doubled comma belongs to the text.

/// The parts of a list.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == ',' && characters.next_if_eq(&',').is_none() {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_comma_is_one_of_the_text() {
        assert_eq!(split("a,b,,c,"), ["a", "b,c", ""]);
        assert_eq!(split(",,,"), [",", ""]);
    }
}
