//! The palette, in one table. Only the terminal's own sixteen colours, so that the
//! user's theme wins; nothing is said by colour alone; without colour, attributes do.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of the screen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Text as it is.
    Text,
    /// What matters less: hints, borders, old things.
    Dim,
    Heading,
    /// Keys and what can be chosen.
    Hint,
    /// The user's own words.
    User,
    /// The program's and the model's marks.
    Agent,
    Good,
    Bad,
    Warning,
    Added,
    Removed,
    /// Words within a changed line that are new, or gone.
    AddedWord,
    RemovedWord,
    Code,
    Keyword,
    Type,
    String,
    Number,
    Comment,
    Function,
    Link,
    Emphasis,
    Strong,
    /// The row or place that keys act on.
    Selected,
    /// What a search found.
    Found,
    /// Characters of a list's row that were typed to find it.
    Match,
    /// How unsure the model was of a token, least first.
    Heat0,
    Heat1,
    Heat2,
    Heat3,
    Heat4,
    /// A border of the pane that has the keys.
    Focus,
}

struct Look {
    role: Role,
    /// `None` is the terminal's own.
    colour: Option<Color>,
    modifiers: Modifier,
    /// Where there is no colour.
    plain: Modifier,
}

const fn look(role: Role, colour: Option<Color>, modifiers: Modifier, plain: Modifier) -> Look {
    Look {
        role,
        colour,
        modifiers,
        plain,
    }
}

const NONE: Modifier = Modifier::empty();
const BOLD: Modifier = Modifier::BOLD;
const DIM: Modifier = Modifier::DIM;
const ITALIC: Modifier = Modifier::ITALIC;
const LINE: Modifier = Modifier::UNDERLINED;
const REVERSED: Modifier = Modifier::REVERSED;

const LOOKS: &[Look] = &[
    look(Role::Text, None, NONE, NONE),
    look(Role::Dim, None, DIM, DIM),
    look(Role::Heading, None, BOLD, BOLD),
    look(Role::Hint, Some(Color::Cyan), NONE, NONE),
    look(Role::User, Some(Color::Blue), BOLD, BOLD),
    look(Role::Agent, Some(Color::Magenta), NONE, NONE),
    look(Role::Good, Some(Color::Green), NONE, NONE),
    look(Role::Bad, Some(Color::Red), NONE, BOLD),
    look(Role::Warning, Some(Color::Yellow), NONE, BOLD),
    look(Role::Added, Some(Color::Green), NONE, NONE),
    look(Role::Removed, Some(Color::Red), NONE, NONE),
    look(Role::AddedWord, Some(Color::Green), REVERSED, REVERSED),
    look(Role::RemovedWord, Some(Color::Red), REVERSED, REVERSED),
    look(Role::Code, Some(Color::Cyan), NONE, NONE),
    look(Role::Keyword, Some(Color::Magenta), NONE, BOLD),
    look(Role::Type, Some(Color::Yellow), NONE, NONE),
    look(Role::String, Some(Color::Green), NONE, NONE),
    look(Role::Number, Some(Color::Cyan), NONE, NONE),
    look(Role::Comment, None, DIM, DIM),
    look(Role::Function, Some(Color::Blue), NONE, NONE),
    look(Role::Link, Some(Color::Blue), LINE, LINE),
    look(Role::Emphasis, None, ITALIC, ITALIC),
    look(Role::Strong, None, BOLD, BOLD),
    look(Role::Selected, None, REVERSED, REVERSED),
    look(Role::Found, Some(Color::Yellow), REVERSED, REVERSED),
    look(Role::Match, Some(Color::Yellow), BOLD, BOLD.union(LINE)),
    look(Role::Heat0, None, DIM, DIM),
    look(Role::Heat1, None, NONE, NONE),
    look(Role::Heat2, Some(Color::Cyan), NONE, LINE),
    look(Role::Heat3, Some(Color::Yellow), BOLD, BOLD),
    look(
        Role::Heat4,
        Some(Color::Red),
        BOLD.union(LINE),
        BOLD.union(LINE),
    ),
    look(Role::Focus, Some(Color::Cyan), NONE, BOLD),
];

/// Whether there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Colour,
    /// `NO_COLOR`: attributes only.
    Plain,
}

impl Theme {
    pub fn style(self, role: Role) -> Style {
        let Some(look) = LOOKS.iter().find(|look| look.role == role) else {
            return Style::new();
        };
        match self {
            Self::Plain => Style::new().add_modifier(look.plain),
            Self::Colour => {
                let style = Style::new().add_modifier(look.modifiers);
                look.colour.map_or(style, |colour| style.fg(colour))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_one_look_and_no_colour_is_the_programs_own() {
        for pair in LOOKS.windows(2) {
            assert_ne!(pair[0].role, pair[1].role);
        }
        for look in LOOKS {
            let count = LOOKS.iter().filter(|one| one.role == look.role).count();
            assert_eq!(count, 1, "{:?}", look.role);
            assert!(
                !matches!(look.colour, Some(Color::Rgb(..) | Color::Indexed(_))),
                "{:?}",
                look.role
            );
            let plain = Theme::Plain.style(look.role);
            assert_eq!((plain.fg, plain.bg), (None, None));
        }
        // The order of the enum and that of the table, so that none is forgotten.
        let mut roles: Vec<Role> = LOOKS.iter().map(|look| look.role).collect();
        roles.sort_unstable();
        assert_eq!(roles.last(), Some(&Role::Focus));
        assert_eq!(roles.len(), Role::Focus as usize + 1);
    }
}
