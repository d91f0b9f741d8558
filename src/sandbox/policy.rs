//! What may be done without a question, after one, or not at all. There is one
//! `Policy` value; file tools and commands are judged by the same one. Layers
//! below the user (project, model) can only tighten it: what all layers allow is
//! allowed, and what one denies is denied.

use std::fmt;
use std::path::{Component, Path};

use serde::Deserialize;

use super::network::Network;
use super::rule::Rule;
use super::{protected, sanitize};

/// Ordered from the freest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Allow,
    Ask,
    Deny,
}

impl Decision {
    /// The stricter of the two.
    #[must_use]
    pub fn meet(self, other: Decision) -> Decision {
        self.max(other)
    }
}

/// How far commands reach. From the freest to the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As far as the user does.
    Danger,
    /// The workspace can be written.
    #[default]
    WorkspaceWrite,
    /// Nothing but private temporary files can be written.
    ReadOnly,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Danger => "danger",
            Self::WorkspaceWrite => "workspace-write",
            Self::ReadOnly => "read-only",
        })
    }
}

/// What commands are held by. From the weaker to the stronger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// What can be had without namespaces: only ever by the user's own choice.
    Degraded,
    #[default]
    Full,
}

/// What the user is asked, for as long as a conversation stays so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Whatever no rule decides.
    #[default]
    Ask,
    /// The same but for changes of files, which need no question.
    AcceptEdits,
    /// Nothing: only what reads is done.
    Plan,
}

impl Permission {
    pub const ALL: [Self; 3] = [Self::Ask, Self::AcceptEdits, Self::Plan];
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ask => "ask",
            Self::AcceptEdits => "accept-edits",
            Self::Plan => "plan",
        })
    }
}

/// What one layer says. The default is what an interactive front end starts
/// from: reads are free, changes and commands ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Where no rule says anything.
    pub write: Decision,
    pub run: Decision,
    pub allow: Vec<Rule>,
    /// These win over those that allow.
    pub deny: Vec<Rule>,
    pub mode: Mode,
    pub network: Network,
    pub strength: Strength,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            write: Decision::Ask,
            run: Decision::Ask,
            allow: Vec::new(),
            deny: Vec::new(),
            mode: Mode::default(),
            network: Network::default(),
            strength: Strength::default(),
        }
    }
}

/// Who speaks by a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Who can be asked.
    User,
    Other,
}

impl Rules {
    fn decide(&self, action: Action<'_>, whose: Whose) -> Decision {
        let needs_a_word = whose == Whose::User && needs_a_word(action);
        let default = match action {
            Action::Read(_) if needs_a_word => Decision::Ask,
            Action::Read(_) => Decision::Allow,
            Action::Write(_) if needs_a_word => self.write.meet(Decision::Ask),
            Action::Write(_) => self.write,
            Action::Run(_) => self.run,
        };
        // What needs the user's word needs a rule of its own.
        let allows = |rule: &&Rule| rule.covers(action) && !(needs_a_word && **rule == Rule::Write);
        if self.denying(action).is_some() {
            Decision::Deny
        } else if self.allow.iter().any(|rule| allows(&rule)) {
            Decision::Allow
        } else {
            default
        }
    }

    fn denying(&self, action: Action<'_>) -> Option<&Rule> {
        self.deny.iter().find(|rule| rule.touches(action))
    }
}

/// One thing that a tool is about to do. Paths are relative to the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    Read(&'a Path),
    Write(&'a Path),
    Run(&'a str),
}

/// What no answer to a question allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    Outside,
    ReadOnly,
    Protected,
    /// A secret, or cairn's own.
    Private,
    /// By rules or settings, not by what it is.
    Denied,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "outside the workspace",
            Self::ReadOnly => "nothing is written in this mode (read-only)",
            Self::Protected => "protected, as other programs run what it says",
            Self::Private => "hidden: keys, tokens, histories and cairn's own files are",
            Self::Denied => "denied by the settings",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The user's, then lower ones.
    layers: Vec<Rules>,
    permission: Permission,
    /// What all layers allow.
    network: Network,
}

impl Policy {
    /// The uppermost layer: what the user's front end was started with.
    pub fn new(rules: Rules) -> Policy {
        Policy {
            network: rules.network.clone(),
            layers: vec![rules],
            permission: Permission::default(),
        }
    }

    pub fn mode(&self) -> Mode {
        let modes = self.layers.iter().map(|layer| layer.mode);
        modes.max().unwrap_or_default()
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    pub fn strength(&self) -> Strength {
        let strengths = self.layers.iter().map(|layer| layer.strength);
        strengths.max().unwrap_or_default()
    }

    /// Every rule of every layer as a line, safe for a terminal.
    pub fn rules(&self) -> impl Iterator<Item = String> {
        let line = |word: &str, rule: &Rule| {
            let rule = rule.to_string();
            format!("{word}  {}", sanitize::for_line(&rule))
        };
        self.layers.iter().flat_map(move |layer| {
            let allow = layer.allow.iter().map(move |rule| line("allow", rule));
            allow.chain(layer.deny.iter().map(move |rule| line("deny ", rule)))
        })
    }

    pub fn permission(&self) -> Permission {
        self.permission
    }

    /// What the user wants to be asked from now on.
    pub fn set_permission(&mut self, permission: Permission) {
        self.permission = permission;
    }

    /// Takes up what the user allowed once and for all.
    pub fn allow(&mut self, rule: Rule) {
        if let Some(user) = self.layers.first_mut()
            && !user.allow.contains(&rule)
        {
            user.allow.push(rule);
        }
    }

    /// A path that leads out of the workspace is denied whatever the rules say, and
    /// so are changes of what makes other programs run something. The workspace
    /// enforces the first again, against links and races; here it keeps a hopeless
    /// question from being asked.
    pub fn decide(&self, action: Action<'_>) -> Decision {
        if self.forbids(action).is_some() {
            return Decision::Deny;
        }
        let user = match (self.permission, action) {
            (Permission::AcceptEdits, Action::Write(_)) if !needs_a_word(action) => Decision::Allow,
            (Permission::Plan, Action::Write(_) | Action::Run(_)) => Decision::Deny,
            _ => Decision::Ask,
        };
        let layers = self.layers.iter().enumerate();
        layers
            .map(|(at, layer)| match at {
                0 => (Whose::User, layer.decide(action, Whose::User)),
                _ => (Whose::Other, layer.decide(action, Whose::Other)),
            })
            .map(|layer| match layer {
                // What the user would be asked is the user's to decide beforehand.
                (Whose::User, Decision::Ask) => user,
                (_, decision) if user == Decision::Deny => decision.meet(user),
                (_, decision) => decision,
            })
            .fold(Decision::Allow, Decision::meet)
    }

    /// Why an action is denied, for the model and the user, if it is: one line.
    pub fn denial(&self, action: Action<'_>) -> Option<String> {
        if let Some(why) = self.forbids(action) {
            return Some(why.to_string());
        }
        if self.decide(action) != Decision::Deny {
            return None;
        }
        let rule = self.layers.iter().find_map(|layer| layer.denying(action));
        Some(match rule {
            Some(rule) => format!("a rule denies it ({rule})"),
            None if self.permission == Permission::Plan => {
                "only tools that read are used in plan mode; say what you would change".to_owned()
            }
            None => "the settings deny it".to_owned(),
        })
    }

    /// Why an action is denied whatever anybody answers, if it is.
    pub fn forbids(&self, action: Action<'_>) -> Option<Forbidden> {
        match action {
            Action::Read(path) | Action::Write(path) if !stays_inside(path) => {
                Some(Forbidden::Outside)
            }
            Action::Write(_) if self.mode() == Mode::ReadOnly => Some(Forbidden::ReadOnly),
            Action::Write(path) if self.mode() != Mode::Danger && protected::covers(path) => {
                Some(Forbidden::Protected)
            }
            _ => None,
        }
    }

    /// This policy with a lower layer on top: never freer than either.
    #[must_use]
    pub fn tighten(&self, lower: &Rules) -> Policy {
        let mut policy = self.clone();
        policy.network = policy.network.meet(&lower.network);
        policy.layers.push(lower.clone());
        policy
    }
}

/// Whether the user is asked about it whatever is allowed in general.
fn needs_a_word(action: Action<'_>) -> bool {
    match action {
        Action::Read(path) => protected::holds_secrets(path),
        Action::Write(path) => protected::needs_a_word(path),
        Action::Run(_) => false,
    }
}

/// Whether a relative path stays beneath its start, by its text alone. What is
/// asked about and what is opened both go by this, so that they cannot differ.
pub(super) fn stays_inside(path: &Path) -> bool {
    let mut depth = 0usize;
    path.components().all(|component| match component {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => {
            let inside = depth > 0;
            depth = depth.saturating_sub(1);
            inside
        }
        Component::RootDir | Component::Prefix(_) => false,
    })
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
