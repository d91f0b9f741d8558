//! What somebody may have meant by a name that does not exist.

/// The nearest of `names`, if it is near enough to be what was meant.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, nearest) = names
        .map(|known| (distance(name, known), known))
        .min_by_key(|(distance, _)| *distance)?;
    let length = name.chars().count().max(nearest.chars().count());
    (distance <= length.div_ceil(3)).then_some(nearest)
}

/// Levenshtein distance; of `a` 64 characters count.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let names = ["temperature", "top_p", "cache.limit"];
        let near = |name| nearest(name, names.into_iter());
        assert_eq!(near("temprature"), Some("temperature"));
        assert_eq!(near("cache.limits"), Some("cache.limit"));
        assert_eq!(near("tpo_p"), Some("top_p"));
        assert_eq!(near("colour"), None);
        assert_eq!(nearest("x", [].into_iter()), None);
    }
}
