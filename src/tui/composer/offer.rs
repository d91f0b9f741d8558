//! The list of files or commands as one types: when it opens, and what choosing does.

use std::sync::Arc;

use super::keys::MenuAct;
use super::menu::{self, Kind, Menu, Needs};
use super::{Composer, Offering, Sent};
use crate::tui::overlay::picker;

impl Composer {
    /// Opens, narrows or closes the list by what is before the cursor.
    pub(super) fn offer(&mut self) {
        let (before, _) = self.editor.around();
        let Some((kind, typed)) = menu::wanted(before, self.editor.lines().len()) else {
            self.menu = None;
            self.offering = Offering::Open;
            return;
        };
        if self.offering == Offering::Dismissed {
            self.menu = None;
            return;
        }
        let open = self.menu.take().filter(|menu| menu.kind == kind);
        let items = match kind {
            Kind::Files => &self.files,
            Kind::Commands => &self.names,
        };
        let mut menu = open.unwrap_or_else(|| Menu::new(kind, Arc::clone(items)));
        menu.filter(typed);
        self.menu = Some(menu);
    }

    pub(super) fn menu_act(&mut self, action: MenuAct) -> Option<Sent> {
        let menu = self.menu.as_mut()?;
        match action {
            MenuAct::Up => menu.picker.act(picker::Act::Up),
            MenuAct::Down => menu.picker.act(picker::Act::Down),
            MenuAct::PageUp => menu.picker.act(picker::Act::PageUp),
            MenuAct::PageDown => menu.picker.act(picker::Act::PageDown),
            MenuAct::Complete => self.complete(),
            MenuAct::Take => return self.take(),
            MenuAct::Close => self.dismiss(),
        }
        None
    }

    fn dismiss(&mut self) {
        self.menu = None;
        self.offering = Offering::Dismissed;
    }

    /// Writes what is chosen in place of what was typed of it.
    fn complete(&mut self) {
        let Some(menu) = self.menu.take() else {
            return;
        };
        let Some(text) = menu.written() else {
            self.dismiss();
            return;
        };
        let typed = menu.typed.chars().count();
        self.edit(|editor| editor.replace_before(typed, &text));
    }

    /// Enter on the list: a command that needs no more is sent, and so is a text that
    /// already says what is chosen.
    fn take(&mut self) -> Option<Sent> {
        let menu = self.menu.as_ref()?;
        let is_whole = match menu.kind {
            Kind::Files => menu
                .written()
                .is_some_and(|text| text.trim_end() == menu.typed),
            Kind::Commands => {
                let chosen = menu.picker.selected().and_then(|at| self.offers.get(at));
                chosen.is_some_and(|offer| offer.needs == Needs::Nothing)
                    && self.editor.around().1.trim().is_empty()
            }
        };
        if !is_whole || menu.kind == Kind::Commands {
            self.complete();
        }
        match is_whole {
            true => self.send(),
            false => None,
        }
    }
}
