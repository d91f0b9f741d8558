//! The palette, in one table. Only the terminal's own sixteen colours, so that the
//! user's theme wins; nothing is said by colour alone; without colour, attributes do.
//! On a light background there are fewer colours that can be read, so it has its own.

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
    /// On a dark background; `None` is the terminal's own.
    dark: Option<Color>,
    /// On a light one.
    light: Option<Color>,
    modifiers: Modifier,
    /// Where there is no colour.
    plain: Modifier,
}

const fn look(
    role: Role,
    [dark, light]: [Option<Color>; 2],
    modifiers: Modifier,
    plain: Modifier,
) -> Look {
    Look {
        role,
        dark,
        light,
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

/// The same on any background: the terminal's own, and those that can be read on both.
const OWN: [Option<Color>; 2] = [None, None];
const BLUE: [Option<Color>; 2] = [Some(Color::Blue); 2];
const MAGENTA: [Option<Color>; 2] = [Some(Color::Magenta); 2];
const GREEN: [Option<Color>; 2] = [Some(Color::Green); 2];
const RED: [Option<Color>; 2] = [Some(Color::Red); 2];
/// Cyan and yellow are too bright for a light one.
const CYAN: [Option<Color>; 2] = [Some(Color::Cyan), Some(Color::Blue)];
const YELLOW: [Option<Color>; 2] = [Some(Color::Yellow), Some(Color::Magenta)];
/// The same, where it stands beside magenta.
const YELLOW_IN_CODE: [Option<Color>; 2] = [Some(Color::Yellow), Some(Color::Red)];

const LOOKS: &[Look] = &[
    look(Role::Text, OWN, NONE, NONE),
    look(Role::Dim, OWN, DIM, DIM),
    look(Role::Heading, OWN, BOLD, BOLD),
    look(Role::Hint, CYAN, NONE, NONE),
    look(Role::User, BLUE, BOLD, BOLD),
    look(Role::Agent, MAGENTA, NONE, NONE),
    look(Role::Good, GREEN, NONE, NONE),
    look(Role::Bad, RED, NONE, BOLD),
    look(Role::Warning, YELLOW, NONE, BOLD),
    look(Role::Added, GREEN, NONE, NONE),
    look(Role::Removed, RED, NONE, NONE),
    look(Role::AddedWord, GREEN, REVERSED, REVERSED),
    look(Role::RemovedWord, RED, REVERSED, REVERSED),
    look(Role::Code, CYAN, NONE, NONE),
    look(Role::Keyword, MAGENTA, NONE, BOLD),
    look(Role::Type, YELLOW_IN_CODE, NONE, NONE),
    look(Role::String, GREEN, NONE, NONE),
    look(Role::Number, CYAN, NONE, NONE),
    look(Role::Comment, OWN, DIM, DIM),
    look(Role::Function, BLUE, NONE, NONE),
    look(Role::Link, BLUE, LINE, LINE),
    look(Role::Emphasis, OWN, ITALIC, ITALIC),
    look(Role::Strong, OWN, BOLD, BOLD),
    look(Role::Selected, OWN, REVERSED, REVERSED),
    look(Role::Found, YELLOW, REVERSED, REVERSED),
    look(Role::Match, YELLOW, BOLD, BOLD.union(LINE)),
    look(Role::Heat0, OWN, DIM, DIM),
    look(Role::Heat1, OWN, NONE, NONE),
    look(Role::Heat2, CYAN, NONE, LINE),
    look(Role::Heat3, YELLOW, BOLD, BOLD),
    look(Role::Heat4, RED, BOLD.union(LINE), BOLD.union(LINE)),
    look(Role::Focus, CYAN, NONE, BOLD),
];

/// Which colours there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// For a dark background.
    #[default]
    Colour,
    /// For a light one.
    Light,
    /// `NO_COLOR`: attributes only.
    Plain,
}

impl Theme {
    pub fn style(self, role: Role) -> Style {
        let Some(look) = LOOKS.iter().find(|look| look.role == role) else {
            return Style::new();
        };
        let (colour, modifiers) = match self {
            Self::Colour => (look.dark, look.modifiers),
            Self::Light => (look.light, look.modifiers),
            Self::Plain => (None, look.plain),
        };
        let style = Style::new().add_modifier(modifiers);
        colour.map_or(style, |colour| style.fg(colour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEMES: [Theme; 3] = [Theme::Colour, Theme::Light, Theme::Plain];

    #[test]
    fn every_role_has_one_look_and_no_colour_is_the_programs_own() {
        for look in LOOKS {
            let count = LOOKS.iter().filter(|one| one.role == look.role).count();
            assert_eq!(count, 1, "{:?}", look.role);
            for theme in THEMES {
                let style = theme.style(look.role);
                let own = matches!(style.fg, Some(Color::Rgb(..) | Color::Indexed(_)));
                assert!(!own && style.bg.is_none(), "{theme:?} {:?}", look.role);
            }
            assert_eq!(Theme::Plain.style(look.role).fg, None);
        }
        // The order of the enum and that of the table, so that none is forgotten.
        let mut roles: Vec<Role> = LOOKS.iter().map(|look| look.role).collect();
        roles.sort_unstable();
        assert_eq!(roles.last(), Some(&Role::Focus));
        assert_eq!(roles.len(), Role::Focus as usize + 1);
    }

    #[test]
    fn nothing_is_too_bright_for_a_light_background() {
        let readable = [Color::Red, Color::Green, Color::Blue, Color::Magenta];
        for look in LOOKS {
            let colour = Theme::Light.style(look.role).fg;
            let is_readable = colour.is_none_or(|colour| readable.contains(&colour));
            assert!(is_readable, "{:?}", look.role);
        }
    }
}
