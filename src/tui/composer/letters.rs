//! Undo and redo by words: the text area takes each letter that was typed for a step of
//! its own, so steps that continue a word are taken together.

use ratatui_textarea::TextArea;

use super::rows::Place;

/// Takes a step, and further ones as long as each changes the letter beside the last
/// one's. `back` takes back the first that does not.
pub fn steps(
    area: &mut TextArea<'static>,
    step: fn(&mut TextArea<'static>) -> bool,
    back: fn(&mut TextArea<'static>) -> bool,
) {
    let mut before = area.lines().to_vec();
    if !step(area) {
        return;
    }
    let mut last = changed_letter(&before, area.lines());
    while let Some((line, letter)) = last {
        before = area.lines().to_vec();
        if !step(area) {
            return;
        }
        let beside = |place: &Place| place.0 == line && place.1.abs_diff(letter) == 1;
        last = changed_letter(&before, area.lines()).filter(beside);
        if last.is_none() {
            back(area);
        }
    }
}

/// Where one text has a letter more than the other, if that is all.
fn changed_letter(one: &[String], other: &[String]) -> Option<Place> {
    if one.len() != other.len() {
        return None;
    }
    let line = { one.iter().zip(other) }.position(|(one, other)| one != other)?;
    if one[line + 1..] != other[line + 1..] {
        return None;
    }
    let (one, other) = (&one[line], &other[line]);
    let (long, short) = match one.len() > other.len() {
        true => (one, other),
        false => (other, one),
    };
    let same = { long.chars().zip(short.chars()) }.take_while(|(a, b)| a == b);
    let at: usize = same.map(|(c, _)| c.len_utf8()).sum();
    let letter = long[at..].chars().next()?;
    let is_all = long[at + letter.len_utf8()..] == short[at..];
    (is_all && letter.is_alphanumeric()).then(|| (line, long[..at].chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_steps() {
        let mut area = TextArea::default();
        for c in "one two, 3\nfour".chars() {
            area.insert_char(c);
        }
        let mut seen = Vec::new();
        while !area.is_empty() {
            steps(&mut area, TextArea::undo, TextArea::redo);
            seen.push(area.lines().join("\n"));
        }
        let expected = [
            "one two, 3\n",
            "one two, 3",
            "one two, ",
            "one two,",
            "one two",
            "one ",
            "one",
            "",
        ];
        assert_eq!(seen, expected);
        for text in expected.iter().rev().skip(1) {
            steps(&mut area, TextArea::redo, TextArea::undo);
            assert_eq!(area.lines().join("\n"), *text);
        }
    }

    #[test]
    fn letters_elsewhere_are_steps_of_their_own() {
        let mut area = TextArea::from(["ab cd"]);
        area.insert_char('x');
        area.move_cursor(ratatui_textarea::CursorMove::End);
        area.insert_char('y');
        steps(&mut area, TextArea::undo, TextArea::redo);
        assert_eq!(area.lines(), ["xab cd"]);
        steps(&mut area, TextArea::undo, TextArea::redo);
        assert_eq!(area.lines(), ["ab cd"]);
        steps(&mut area, TextArea::undo, TextArea::redo);
        assert_eq!(area.lines(), ["ab cd"]);
    }
}
