//! The grammars that there are, and what their scopes are to a reader.

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::{Piece, plain};
use crate::tui::theme::Role;

/// Bytes of a line beyond which it is plain.
pub(super) const LINE_BYTES: usize = 2_000;

/// What a scope of a grammar is to a reader; the longest prefix counts.
pub(super) const SCOPES: &[(&str, Role)] = &[
    ("comment", Role::Comment),
    ("string", Role::String),
    ("constant", Role::Number),
    ("constant.character.escape", Role::Keyword),
    ("keyword", Role::Keyword),
    ("keyword.operator", Role::Text),
    ("storage", Role::Keyword),
    ("variable.language", Role::Keyword),
    ("variable.function", Role::Function),
    ("entity.name.function", Role::Function),
    ("support.function", Role::Function),
    ("support.macro", Role::Function),
    ("entity.name", Role::Type),
    ("entity.name.tag", Role::Keyword),
    ("entity.other.attribute-name", Role::Type),
    ("entity.other.inherited-class", Role::Type),
    ("support.type", Role::Type),
    ("support.class", Role::Type),
    ("support.constant", Role::Number),
    ("markup.inserted", Role::Added),
    ("markup.deleted", Role::Removed),
    ("markup.heading", Role::Heading),
    ("meta.diff.header", Role::Strong),
];

/// Names that people give to languages, and the grammar that is nearest.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("typescript", "js"),
    ("ts", "js"),
    ("tsx", "js"),
    ("jsx", "js"),
    ("mjs", "js"),
    ("jsonc", "json"),
    ("json5", "json"),
    ("console", "sh"),
    ("shell", "sh"),
    ("python3", "py"),
    ("golang", "go"),
];

pub(super) struct Grammars {
    pub set: SyntaxSet,
    scopes: Vec<(Scope, Role)>,
}

impl Grammars {
    pub fn load() -> Self {
        let scopes = SCOPES
            .iter()
            .filter_map(|(name, role)| Some((Scope::new(name).ok()?, *role)));
        Self {
            set: SyntaxSet::load_defaults_newlines(),
            scopes: scopes.collect(),
        }
    }

    pub fn find(&self, language: &str) -> Option<&SyntaxReference> {
        let name = language.to_ascii_lowercase();
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(name.as_str(), |(_, name)| name);
        let syntax = self.set.find_syntax_by_token(name)?;
        (syntax.name != "Plain Text").then_some(syntax)
    }

    /// What the innermost scope that says anything says.
    fn role(&self, stack: &ScopeStack) -> Role {
        for scope in stack.as_slice().iter().rev() {
            let fitting = self
                .scopes
                .iter()
                .filter(|(one, _)| one.is_prefix_of(*scope));
            if let Some((_, role)) = fitting.max_by_key(|(one, _)| one.len()) {
                return *role;
            }
        }
        Role::Text
    }
}

/// Where the parser is between two lines.
pub(super) struct Place {
    parser: ParseState,
    scopes: ScopeStack,
}

impl Place {
    pub fn first(syntax: &SyntaxReference) -> Self {
        Self {
            parser: ParseState::new(syntax),
            scopes: ScopeStack::new(),
        }
    }
}

/// The pieces of a line; moves the place to behind it.
pub(super) fn parse(place: &mut Place, grammars: &Grammars, text: &str) -> Vec<Piece> {
    if text.len() > LINE_BYTES {
        return plain(text);
    }
    let line = format!("{text}\n");
    let Ok(changes) = place.parser.parse_line(&line, &grammars.set) else {
        return plain(text);
    };
    let mut pieces: Vec<Piece> = Vec::new();
    let mut add = |bytes: usize, role: Role| match pieces.last_mut() {
        _ if bytes == 0 => {}
        Some(last) if last.role == role => last.bytes += bytes,
        _ => pieces.push(Piece { bytes, role }),
    };
    let mut at = 0;
    for (next, change) in &changes {
        let next = (*next).min(text.len());
        add(next.saturating_sub(at), grammars.role(&place.scopes));
        at = at.max(next);
        if place.scopes.apply(change).is_err() {
            break;
        }
    }
    add(text.len() - at, grammars.role(&place.scopes));
    pieces
}
