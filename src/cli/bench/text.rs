//! The report for people: tables of at most 80 columns.

use std::fmt::{self, Write};

use super::report::Report;
use crate::agent::present::thousands;
use crate::sandbox::sanitize;

const WIDTH: usize = 80;

/// The report in words and tables.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = write_all(&mut out, report);
    out
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn write_all(out: &mut String, r: &Report) -> fmt::Result {
    let machine = &r.machine;
    writeln!(out, "model    {}", sanitize::for_line(&r.model))?;
    writeln!(out, "engine   {}; threads: {}", r.backend, r.threads)?;
    let memory = machine.memory_bytes.map_or(String::new(), |bytes| {
        format!(", {:.0} GB", bytes as f64 / 1e9)
    });
    let cpu = sanitize::for_line(&machine.cpu);
    let processors = machine.processors;
    writeln!(out, "machine  {cpu}")?;
    writeln!(
        out,
        "         {}, {processors} processors{memory}",
        machine.os
    )?;
    let roof = &r.roof;
    writeln!(
        out,
        "roof     {:.1} GB/s, reading {:.0} MB ({:.1} to {:.1} in {})",
        r.roof_gb_s,
        mega(roof.bytes as u64),
        roof.spread.min,
        roof.spread.max,
        roof.spread.repeats,
    )?;
    writeln!(
        out,
        "load     {:.2} s; first token of a prompt of 16 after {:.2} s",
        r.load_s, r.ttft_s
    )?;
    writeln!(
        out,
        "prefill  {:.1} tok/s +- {:.1} %, {} tokens; the first time {:.1}",
        r.prefill_tok_s,
        r.prefill.spread.percent(),
        thousands(r.prefill.tokens),
        r.prefill.first_tok_s,
    )?;
    let b = &r.bytes;
    writeln!(
        out,
        "\nMB per token  experts {:.1}, attention {:.1}, head {:.1}, router {:.1},\n              \
         convolutions {:.1}, K/V {:.1}, other {:.1}",
        mega(b.experts),
        mega(b.attention),
        mega(b.head),
        mega(b.router),
        mega(b.convolutions),
        mega(b.kv),
        mega(b.other)
    )?;
    writeln!(
        out,
        "\ndecode, tokens before    tok/s   +- %  % of roof   MB/token    MB of K/V"
    )?;
    for c in &r.contexts {
        writeln!(
            out,
            "  {:<20} {:>7.2} {:>6.1} {:>10.1} {:>10.1} {:>12.1}",
            thousands(c.context),
            c.tok_s,
            c.spread.percent(),
            100.0 * c.share,
            mega(c.bytes_per_token),
            mega(c.kv_bytes)
        )?;
    }
    writeln!(
        out,
        "\nsequences in a step      tok/s   +- %  % of roof    MB/step  x one  experts"
    )?;
    for row in &r.batches {
        writeln!(
            out,
            "  {:<20} {:>7.2} {:>6.1} {:>10.1} {:>10.1} {:>6.2} {:>8.2}",
            row.batch,
            row.tok_s,
            row.spread.percent(),
            100.0 * row.share,
            mega(row.bytes_per_step),
            row.per_one,
            row.distinct_experts
        )?;
    }
    let s = &r.screened;
    writeln!(
        out,
        "\nscreened head            tok/s   +- %  % of roof   MB/token x full  rows computed"
    )?;
    writeln!(
        out,
        "  {:<20} {:>7.2} {:>6.1} {:>10.1} {:>10.1} {:>6.2}  {:.1} of {}",
        "",
        s.tok_s,
        s.spread.percent(),
        100.0 * s.share,
        mega(s.bytes_per_token),
        s.ratio,
        s.rows_computed,
        thousands(s.rows)
    )?;
    if !r.operations.is_empty() {
        writeln!(
            out,
            "\noperations of a step        ms    %         MB       GB/s | prefill us    %"
        )?;
        for o in &r.operations {
            write!(
                out,
                "  {:<20} {:>7.3} {:>4.1} {:>10.2} {:>10.1}",
                o.name,
                1e3 * o.seconds,
                100.0 * o.share,
                mega(o.bytes),
                o.gb_s
            )?;
            match r.prefill.operations.iter().find(|p| p.name == o.name) {
                Some(p) => {
                    let (us, share) = (1e6 * p.seconds, 100.0 * p.share);
                    writeln!(out, " | {us:>10.1} {share:>4.1}")?;
                }
                None => writeln!(out, " |")?,
            }
        }
    }
    for notice in &r.notices {
        out.push('\n');
        wrapped(out, &format!("note: {}", sanitize::for_line(notice)))?;
    }
    Ok(())
}

/// Words in lines of at most 80 columns, if they are shorter.
fn wrapped(out: &mut String, text: &str) -> fmt::Result {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{line}")
}
