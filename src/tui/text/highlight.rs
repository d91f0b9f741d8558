//! Colours for code. The grammars take a while to load, so they are loaded on a thread
//! of their own when code is first seen; until then code is plain. A block that grows
//! is parsed line by line, each line once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ratatui::text::Span;
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};
use xxhash_rust::xxh3::xxh3_64;

use crate::tui::theme::{Role, Theme};

/// Bytes of a line, and lines of a block, beyond which code is plain.
const LINE_BYTES: usize = 2_000;
const BLOCK_LINES: usize = 2_000;

/// What a scope of a grammar is to a reader; the longest prefix counts.
const SCOPES: &[(&str, Role)] = &[
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
const ALIASES: &[(&str, &str)] = &[
    ("typescript", "js"),
    ("ts", "js"),
    ("tsx", "js"),
    ("jsx", "js"),
    ("mjs", "js"),
    ("jsonc", "json"),
    ("json5", "json"),
    ("console", "sh"),
    ("shell", "sh"),
    ("zsh", "sh"),
    ("fish", "sh"),
    ("python3", "py"),
    ("c++", "cpp"),
    ("golang", "go"),
    ("patch", "diff"),
];

struct Grammars {
    set: SyntaxSet,
    scopes: Vec<(Scope, Role)>,
}

impl Grammars {
    fn load() -> Self {
        let scopes = SCOPES
            .iter()
            .filter_map(|(name, role)| Some((Scope::new(name).ok()?, *role)));
        Self {
            set: SyntaxSet::load_defaults_newlines(),
            scopes: scopes.collect(),
        }
    }

    fn find(&self, language: &str) -> Option<&SyntaxReference> {
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

/// A handle on the grammars; copies share them.
#[derive(Clone)]
pub struct Highlighter {
    grammars: Arc<OnceLock<Grammars>>,
    asked: Arc<AtomicBool>,
    ready: Arc<dyn Fn() + Send + Sync>,
}

impl Highlighter {
    /// `ready` is called, on another thread, once there are grammars: what was laid out
    /// before is plain, and has to be laid out again.
    pub fn new(ready: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            grammars: Arc::default(),
            asked: Arc::default(),
            ready: Arc::new(ready),
        }
    }

    /// What there is now.
    pub fn colours(&self) -> Colours<'_> {
        Colours {
            grammars: self.grammars.get(),
            highlighter: self,
        }
    }

    /// Changes when code would look different from now on.
    pub fn generation(&self) -> usize {
        self.colours().generation()
    }

    fn load(&self) {
        if self.asked.swap(true, Ordering::Relaxed) {
            return;
        }
        let (grammars, ready) = (Arc::clone(&self.grammars), Arc::clone(&self.ready));
        let load = move || {
            grammars.get_or_init(Grammars::load);
            ready();
        };
        let thread = std::thread::Builder::new().name("highlight".into());
        if let Err(error) = thread.spawn(load) {
            tracing::warn!("code stays without colours, as there is no thread: {error}");
        }
    }
}

/// The grammars as they were at one time: the same for all that is laid out at once.
#[derive(Clone, Copy)]
pub struct Colours<'a> {
    grammars: Option<&'a Grammars>,
    highlighter: &'a Highlighter,
}

impl<'a> Colours<'a> {
    pub fn generation(&self) -> usize {
        usize::from(self.grammars.is_some())
    }

    /// The grammars if they are there; else they will be.
    fn grammars(&self) -> Option<&'a Grammars> {
        if self.grammars.is_none() {
            self.highlighter.load();
        }
        self.grammars
    }
}

/// A stretch of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub bytes: usize,
    pub role: Role,
}

/// Where the parser is between two lines.
#[derive(Clone)]
struct Place {
    parser: ParseState,
    scopes: ScopeStack,
}

/// The colours of one block of code, as far as it is known.
#[derive(Default)]
pub struct Code {
    language: String,
    generation: usize,
    /// After the last of `lines`; `None` where the language is not known.
    place: Option<Place>,
    /// A hash of each line's text, and its pieces.
    lines: Vec<(u64, Vec<Piece>)>,
}

impl Code {
    pub fn new(language: &str) -> Self {
        Self {
            language: language.to_owned(),
            ..Self::default()
        }
    }

    pub fn language(&self) -> &str {
        &self.language
    }

    /// Colours of all lines. Those of earlier calls are not parsed again, as long as
    /// lines were only added; the last line may be different each time.
    pub fn all(&mut self, colours: Colours<'_>, lines: &[String]) -> Vec<Vec<Piece>> {
        let Some((last, settled)) = lines.split_last() else {
            return Vec::new();
        };
        let same = |((hash, _), line): (&(u64, _), &String)| *hash == xxh3_64(line.as_bytes());
        if self.lines.len() > settled.len() || !self.lines.iter().zip(settled).all(same) {
            *self = Self::new(&self.language);
        }
        let mut pieces: Vec<Vec<Piece>> = settled
            .iter()
            .enumerate()
            .map(|(at, line)| self.line(colours, at, line))
            .collect();
        pieces.push(self.peek(colours, last));
        pieces
    }

    /// Colours of the line with this number, counted from 0; it and those before it
    /// have come to their end.
    pub fn line(&mut self, colours: Colours<'_>, number: usize, text: &str) -> Vec<Piece> {
        self.refresh(colours);
        if let Some((_, pieces)) = self.lines.get(number) {
            return pieces.clone();
        }
        let pieces = match (&mut self.place, colours.grammars) {
            (Some(place), Some(grammars)) if self.lines.len() < BLOCK_LINES => {
                parse(place, grammars, text)
            }
            _ => plain(text),
        };
        self.lines.push((xxh3_64(text.as_bytes()), pieces.clone()));
        pieces
    }

    /// Colours of the line after those, which may still grow.
    pub fn peek(&mut self, colours: Colours<'_>, text: &str) -> Vec<Piece> {
        self.refresh(colours);
        match (&self.place, colours.grammars) {
            (Some(place), Some(grammars)) if self.lines.len() < BLOCK_LINES => {
                parse(&mut place.clone(), grammars, text)
            }
            _ => plain(text),
        }
    }

    /// Begins again where the grammars have come since.
    fn refresh(&mut self, colours: Colours<'_>) {
        if self.lines.is_empty() || self.generation != colours.generation() {
            self.lines.clear();
            self.generation = colours.generation();
            let language = self.language.as_str();
            let grammars = (!language.is_empty()).then(|| colours.grammars());
            self.place = grammars.flatten().and_then(|grammars| {
                let syntax = grammars.find(language)?;
                Some(Place {
                    parser: ParseState::new(syntax),
                    scopes: ScopeStack::new(),
                })
            });
        }
    }
}

fn plain(text: &str) -> Vec<Piece> {
    vec![Piece {
        bytes: text.len(),
        role: Role::Text,
    }]
}

fn parse(place: &mut Place, grammars: &Grammars, text: &str) -> Vec<Piece> {
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

/// A line in its colours.
pub fn spans(text: &str, pieces: &[Piece], theme: Theme) -> Vec<Span<'static>> {
    let mut at = 0;
    let mut spans = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if let Some(part) = text.get(at..at + piece.bytes) {
            spans.push(Span::styled(part.to_owned(), theme.style(piece.role)));
        }
        at += piece.bytes;
    }
    spans
}
