//! Constrained tool calls: from the token that opens a call to the one that
//! closes it, only what makes a call that parses, of a tool that exists, with
//! arguments of the right types, can be sampled. Text outside of calls is
//! untouched, and costs nothing.

mod constraint;
mod vocabulary;
mod way;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{InferenceCapabilities, TokEnv};
use llguidance::{Matcher, ParserFactory};

use crate::backend::TokenMask;
use crate::bundle::Tokenizer;
use crate::chat::{CallForm, MarkerIds, Plain, ToolSpec};
pub use constraint::{Constraint, Next};
use vocabulary::Vocabulary;

/// Tokens of one parameter's value, unless said otherwise.
const VALUE_TOKENS: usize = 4096;
/// What compiling may cost, in llguidance's unit: about 50,000 are a millisecond.
const COMPILE_FUEL: u64 = 20_000_000;
/// Masks that are kept: one for each place in a text where nothing is pending.
/// At a vocabulary of 262,272 one takes 32 KiB.
const KEPT_MASKS: usize = 128;
/// Tokens by which one sampled token can lengthen the way to a text's end: what
/// is missing of a character, a full stop.
const TEXT_SLACK: usize = 8;

/// The calls that a model may make, compiled for its vocabulary.
pub struct Grammar {
    form: CallForm,
    open: u32,
    close: u32,
    stop_ids: Vec<u32>,
    value_tokens: usize,
    /// For the way to a call's end; matches bytes.
    bytes: Mutex<Matcher>,
    tokenizer: Arc<Tokenizer>,
    /// Made on a thread of its own while the model loads and reads its prompt.
    compiled: OnceLock<Result<Compiled, String>>,
}

/// What needs the vocabulary.
struct Compiled {
    vocabulary: Vocabulary,
    /// At a call's start. Its clones share what they learn.
    matcher: Mutex<Matcher>,
    masks: Mutex<HashMap<Plain, Arc<TokenMask>>>,
    /// Tokens by which one token can lengthen the way to the end outside texts.
    slack: usize,
    /// More than the way from anywhere can be long, but for what nests.
    longest: usize,
}

impl std::fmt::Debug for Grammar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grammar")
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

impl Grammar {
    /// Compiles the calls of `tools`, which hold none of `stop_ids`; `None` where there is nothing to constrain:
    /// no tools, or a bundle in which no token opens and closes a call.
    ///
    /// # Errors
    /// Why the calls can't be constrained; part of a line.
    pub fn compile(
        tokenizer: &Arc<Tokenizer>,
        tools: &[ToolSpec],
        stop_ids: &[u32],
    ) -> Result<Option<Arc<Self>>, String> {
        let Some(grammar) = Self::with_value_tokens(tokenizer, tools, stop_ids, VALUE_TOKENS)?
        else {
            return Ok(None);
        };
        let background = Arc::clone(&grammar);
        let thread = std::thread::Builder::new().name("cairn-grammar".into());
        // Without a thread the first call makes it.
        let _ = thread.spawn(move || background.compiled().is_ok());
        Ok(Some(grammar))
    }

    /// The same with another bound of a value's tokens; what needs the vocabulary
    /// is made at the first call.
    ///
    /// # Errors
    /// As [`Grammar::compile`].
    pub fn with_value_tokens(
        tokenizer: &Arc<Tokenizer>,
        tools: &[ToolSpec],
        stop_ids: &[u32],
        value_tokens: usize,
    ) -> Result<Option<Arc<Self>>, String> {
        let markers = MarkerIds::of(tokenizer);
        let (Some(open), Some(close)) = (markers.call, markers.call_close) else {
            return Ok(None);
        };
        if tools.is_empty() {
            return Ok(None);
        }
        let form = CallForm::new(tools)?;
        let bytes = matcher(&vocabulary::bytes(), &form)?;
        Ok(Some(Arc::new(Self {
            form,
            open,
            close,
            stop_ids: stop_ids.to_vec(),
            value_tokens,
            bytes: Mutex::new(bytes),
            tokenizer: Arc::clone(tokenizer),
            compiled: OnceLock::new(),
        })))
    }

    /// Made by whoever needs it first; others wait.
    fn compiled(&self) -> Result<&Compiled, &str> {
        let compiled = self.compiled.get_or_init(|| {
            let vocabulary = Vocabulary::new(&self.tokenizer, &self.stop_ids, self.close);
            let matcher = matcher(&vocabulary.env, &self.form)?;
            let tokens = |text: &str| vocabulary.tokens(text.as_bytes()).map_or(0, |t| t.len());
            let most = |texts: &mut dyn Iterator<Item = String>| {
                texts.map(|text| tokens(&text)).max().unwrap_or(0)
            };
            let call = most(&mut self.form.shortest_calls());
            let parameter = most(&mut self.form.shortest_parameters());
            let slack = call + parameter + 2 * TEXT_SLACK;
            Ok(Compiled {
                vocabulary,
                matcher: Mutex::new(matcher),
                masks: Mutex::new(HashMap::new()),
                slack,
                longest: slack + call + parameter,
            })
        });
        compiled.as_ref().map_err(String::as_str)
    }
}

fn matcher(env: &TokEnv, form: &CallForm) -> Result<Matcher, String> {
    let parser = || {
        let mut factory = ParserFactory::new(env, InferenceCapabilities::default(), &[])?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.verbose_errors = false;
        limits.initial_lexer_fuel = COMPILE_FUEL;
        factory.create_parser(TopLevelGrammar::from_lark(form.lark().to_owned()))
    };
    let matcher = Matcher::new(parser());
    match matcher.get_error() {
        Some(error) => Err(error.lines().next().unwrap_or_default().to_owned()),
        None => Ok(matcher),
    }
}

/// A copy that goes its own way.
fn fork(matcher: &Mutex<Matcher>) -> Matcher {
    matcher
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}
