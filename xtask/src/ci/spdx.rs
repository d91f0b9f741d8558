//! SPDX licence expressions, as far as crates use them: `OR`, `AND`, `WITH`,
//! parentheses, and the old `/` for `OR`. `AND` binds tighter than `OR`.

use anyhow::{Result, bail};

/// Whether `expression` can be satisfied with licences that `allowed` accepts.
/// A licence with an exception is asked for as one: `A WITH B`.
pub fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser {
        words: &words,
        allowed,
    };
    let verdict = parser.alternatives()?;
    if let Some(word) = parser.words.first() {
        bail!("`{expression}`: `{word}` is not expected there");
    }
    Ok(verdict)
}

struct Parser<'a> {
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    fn alternatives(&mut self) -> Result<bool> {
        let mut verdict = self.conjunction()?;
        while self.take("OR") {
            verdict |= self.conjunction()?;
        }
        Ok(verdict)
    }

    fn conjunction(&mut self) -> Result<bool> {
        let mut verdict = self.licence()?;
        while self.take("AND") {
            verdict &= self.licence()?;
        }
        Ok(verdict)
    }

    fn licence(&mut self) -> Result<bool> {
        if self.take("(") {
            let verdict = self.alternatives()?;
            if !self.take(")") {
                bail!("a parenthesis is not closed");
            }
            return Ok(verdict);
        }
        let name = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            return Ok((self.allowed)(&format!("{name} WITH {exception}")));
        }
        Ok((self.allowed)(name))
    }

    fn name(&mut self) -> Result<&'a str> {
        match self.words.split_first() {
            Some((word, rest)) if !["OR", "AND", "WITH", "(", ")"].contains(word) => {
                self.words = rest;
                Ok(word)
            }
            Some((word, _)) => bail!("`{word}` stands where a licence should"),
            None => bail!("the expression ends where a licence should stand"),
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    fn verdict(expression: &str) -> Result<bool, String> {
        let allowed = |name: &str| ["MIT", "Apache-2.0", "ISC", "A WITH B"].contains(&name);
        satisfied(expression, &allowed).map_err(|error| error.to_string())
    }

    #[test]
    fn operators_mean_what_they_say() {
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("MIT OR GPL-3.0 AND GPL-2.0", true),
            ("(MIT OR GPL-3.0) AND GPL-2.0", false),
            ("(GPL-3.0 OR MIT) AND ISC", true),
            ("A WITH B", true),
            ("A", false),
            ("MIT WITH B", false),
        ] {
            assert_eq!(verdict(expression), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for expression in [
            "", "MIT OR", "(MIT", "MIT ISC", "OR MIT", "MIT WITH", "MIT)",
        ] {
            assert!(verdict(expression).is_err(), "{expression}");
        }
    }
}
