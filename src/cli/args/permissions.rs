//! `cairn permissions` and `cairn trust`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::sandbox::{Rule, RuleError};

#[derive(Debug, Args)]
pub struct PermissionsArgs {
    #[command(subcommand)]
    pub what: Option<PermissionsCommand>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum PermissionsCommand {
    /// Print the rules (so does no command at all)
    List,
    /// Add a rule that allows
    Allow {
        #[arg(value_name = "RULE", value_parser = allowing_one)]
        rule: Rule,
    },
    /// Add a rule that denies; these win
    Deny {
        #[arg(value_name = "RULE")]
        rule: Rule,
    },
    /// Take a rule away, named as the list has it
    Remove {
        #[arg(value_name = "RULE")]
        rule: Rule,
    },
}

#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The project's folder [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,

    /// Trust what is there without a question
    #[arg(long, conflicts_with = "forget")]
    pub yes: bool,

    /// Trust it no longer
    #[arg(long)]
    pub forget: bool,
}

fn allowing_one(text: &str) -> Result<Rule, RuleError> {
    text.parse::<Rule>().and_then(Rule::can_allow)
}
