//! The list of bundles for people.

use super::Row;
use super::fit::Verdict;
use crate::agent::present::thousands;
use crate::cli::doctor::size;
use crate::sandbox::sanitize;

/// A row for each: name, size, format, fit; then where it is, or why it is of no use.
pub fn table(rows: &[Row], context: usize, available: Option<u64>) -> String {
    let names: Vec<String> = rows
        .iter()
        .map(|row| sanitize::for_line(&row.name).into_owned())
        .collect();
    let width = names.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or(0);
    let lines: String = rows
        .iter()
        .zip(&names)
        .map(|(row, name)| {
            let path = match &row.path {
                Some(path) => sanitize::for_line(&path.to_string_lossy()).into_owned(),
                None => "part of the program".to_owned(),
            };
            let format = row.glance.as_ref().map_or("-", |glance| glance.format);
            let fit = fit(row);
            let size = size(row.size);
            format!(
                "{name:width$}  {size:>9}  {format:7}  {fit}\n{:width$}  {path}\n",
                ""
            )
        })
        .collect();
    let memory = match available {
        Some(bytes) => format!("{} of memory are available", size(bytes)),
        None => "this system does not say how much memory is available".to_owned(),
    };
    format!(
        "{lines}\n{memory}; K/V are those of {} tokens\n",
        thousands(context)
    )
}

fn fit(row: &Row) -> String {
    let why = match &row.glance {
        Err(why) => return format!("unusable: {}", sanitize::for_line(why)),
        Ok(_) => match row.fit.verdict {
            Verdict::Yes => "fits",
            Verdict::Tight => "tight",
            Verdict::No => "does not fit",
            Verdict::Unknown => "can't say whether it fits",
        },
    };
    match (row.fit.weights, row.fit.kv) {
        (Some(weights), Some(kv)) => format!("{why}: {} and {} K/V", size(weights), size(kv)),
        _ => why.to_owned(),
    }
}
