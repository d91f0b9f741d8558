//! `cargo xtask demo-eval`: held-out requests through cairn's own template,
//! engine and parser; a reply counts only if it is exactly the expected one.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use cairn::agent::Calls;
use cairn::bundle::Bundle;
use cairn::chat::{
    ChatEvent, GenerationPrompt, MarkerIds, Message, Parser, ParserOptions, RenderOptions,
    Renderer, Thinking, ToolSpec, coalesce, name_calls,
};
use cairn::generate::{Cancel, Event, Generator, Grammar, Request, Sampling, ThinkingKeys};
use cairn::model::LoadOptions;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::score::{Kind, Score};

#[derive(clap::Args)]
pub struct EvalArgs {
    /// Bundle or checkpoint to measure [default: models/demo]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Cases to run, evenly chosen [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Leave tool calls to the model, without a grammar
    #[arg(long)]
    free_calls: bool,
    /// Print nothing about the cases that were missed
    #[arg(long)]
    quiet: bool,
}

pub fn run(args: &EvalArgs) -> Result<()> {
    let model = args.model.clone().unwrap_or_else(super::demo_folder);
    let start = Instant::now();
    let calls = match args.free_calls {
        true => Calls::Free,
        false => Calls::Constrained,
    };
    let score = measure(&model, args.limit, calls, |miss| {
        if !args.quiet {
            println!("{miss}");
        }
    })?;
    println!("{score}");
    println!(
        "{}, {:.0} s",
        model.display(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

#[derive(Deserialize)]
struct Case {
    id: String,
    task: String,
    messages: Vec<Message>,
    tools: Vec<ToolSpec>,
    expect: Reply,
}

/// A reply: what is expected, and what came.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Reply {
    Call {
        tool: String,
        arguments: Map<String, Value>,
    },
    Answer {
        answer: String,
    },
}

/// Runs the cases on the bundle in `model`; `missed` gets a line for each reply
/// that is not as expected.
pub fn measure(
    model: &Path,
    limit: Option<usize>,
    calls: Calls,
    mut missed: impl FnMut(&str),
) -> Result<Score> {
    let bundle = Bundle::open(model)?;
    let renderer = Renderer::for_bundle(&bundle)?;
    let engine = cairn::model::load(&bundle, &LoadOptions::default())?;
    let generator = Generator::start(engine, bundle.tokenizer.clone())?;
    let path = super::cases()?;
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines: Vec<&str> = text.lines().collect();
    let step = limit.map_or(1, |limit| lines.len().div_ceil(limit.max(1)));
    let mut score = Score::default();
    for (number, line) in lines.iter().enumerate().step_by(step.max(1)) {
        let case: Case = serde_json::from_str(line)
            .with_context(|| format!("{}:{}", path.display(), number + 1))?;
        let reply =
            reply(&case, &bundle, &renderer, &generator, calls).with_context(|| case.id.clone())?;
        let right = reply.as_ref() == Some(&case.expect);
        let kind = match case.expect {
            Reply::Call { .. } => Kind::Call,
            Reply::Answer { .. } => Kind::Answer,
        };
        score.add(&case.task, kind, right);
        if !right {
            let Case { id, expect, .. } = &case;
            missed(&format!("{id}: expected {expect:?}, got {reply:?}"));
        }
    }
    Ok(score)
}

/// The greedy reply to a case; `None` if it is neither one call nor an answer.
fn reply(
    case: &Case,
    bundle: &Bundle,
    renderer: &Renderer,
    generator: &Generator,
    calls: Calls,
) -> Result<Option<Reply>> {
    let mut messages = case.messages.clone();
    name_calls(&mut messages);
    let options = RenderOptions {
        thinking: Thinking::On,
        generation_prompt: GenerationPrompt::Add,
    };
    let prompt = renderer.render(&messages, &case.tools, options)?;
    let mut parser = Parser::new(ParserOptions {
        tools: case.tools.clone(),
        start: prompt.start(),
        markers: MarkerIds::of(&bundle.tokenizer),
        ..ParserOptions::default()
    });
    let constraint = match calls {
        Calls::Free => None,
        Calls::Constrained => {
            let grammar = Grammar::compile(&bundle.tokenizer, &case.tools, &bundle.stop_ids);
            grammar.map_err(anyhow::Error::msg)?
        }
    };
    let request = Request {
        prompt: prompt.ids(&bundle.tokenizer),
        sampling: Sampling::GREEDY,
        stop_ids: bundle.stop_ids.clone(),
        max_tokens: 300,
        context: bundle.context,
        thinking: None,
        given: Vec::new(),
        forced: Vec::new(),
        after: Vec::new(),
        nudges: Vec::new(),
        keys: ThinkingKeys::default(),
        boundaries: Vec::new(),
        pause: Cancel::default(),
        constraint,
    };
    let mut events = Vec::new();
    for event in generator.submit(request, Cancel::default()) {
        match event {
            Event::Token(token) => events.extend(parser.push(Some(token.id), &token.text)),
            Event::Finished { tail, .. } => events.extend(parser.push(None, &tail)),
            Event::Failed(reason) => bail!("generation failed: {reason}"),
            Event::Prefill { .. } | Event::Notice(_) | Event::Started(_) | Event::Nudged(_) => {}
        }
    }
    events.extend(parser.finish());
    Ok(judge(coalesce(events)))
}

fn judge(events: Vec<ChatEvent>) -> Option<Reply> {
    let (mut answer, mut calls) = (String::new(), Vec::new());
    for event in events {
        match event {
            ChatEvent::Text(text) => answer.push_str(&text),
            ChatEvent::ToolCall(call) => calls.push(call),
            ChatEvent::Reasoning(_) => {}
            ChatEvent::Malformed { .. } => return None,
        }
    }
    let answer = answer.trim_matches('\n').to_owned();
    match calls.len() {
        0 => Some(Reply::Answer { answer }),
        1 if answer.is_empty() => calls.pop().map(|call| Reply::Call {
            tool: call.name,
            arguments: call.arguments,
        }),
        _ => None,
    }
}
