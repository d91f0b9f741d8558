//! Following a session to another of its branches: what calls of the branch that is
//! left have changed is taken back, call by call, the last one first; what those of the
//! other had changed is brought back. A record is split where only a part of a turn is
//! on a branch. Nobody is asked: what somebody else has changed since is left alone.

use super::Error;
use super::history::{History, in_store};
use super::record::{Part, State, Turn};
use super::report::Report;
use super::restore::{Known, Way};
use crate::sandbox::Workspace;

impl History {
    /// Takes back what the calls `back` have changed, and brings back what the calls
    /// `forth` had. What of these is not kept any more stays as it is.
    ///
    /// # Errors
    /// When the history can't be read or written, or there is no room to go on.
    pub fn switch(
        &mut self,
        workspace: &Workspace,
        back: &[u64],
        forth: &[u64],
    ) -> Result<Report, Error> {
        self.end(workspace);
        self.lock(workspace)?;
        let mut report = Report::default();
        let switched = self
            .leave(workspace, back, &mut report)
            .and_then(|()| self.come_back(workspace, forth, &mut report));
        self.unlock();
        switched.map(|()| report)
    }

    /// The turn that has begun is the rest of the last one here, if that has one of
    /// these calls: what it changes is undone together with that.
    ///
    /// # Errors
    /// As [`History::switch`].
    pub fn rejoin(&mut self, workspace: &Workspace, calls: &[u64]) -> Result<(), Error> {
        if self.turn.is_some() || calls.is_empty() || !self.is_first(workspace)? {
            return Ok(());
        }
        if let Some(mut turn) = self.newest()?
            && turn.calls().any(|call| calls.contains(&call))
        {
            in_store(self.records.change(&mut turn, State::Open))?;
            self.turn = Some(turn);
        }
        self.unlock_if_idle();
        Ok(())
    }

    /// The last turn that is done.
    fn newest(&self) -> Result<Option<Turn>, Error> {
        match in_store(self.records.ids(State::Done))?.last() {
            Some(id) => in_store(self.records.turn(State::Done, *id)),
            None => Ok(None),
        }
    }

    fn leave(
        &mut self,
        workspace: &Workspace,
        calls: &[u64],
        report: &mut Report,
    ) -> Result<(), Error> {
        for id in in_store(self.records.ids(State::Done))?.into_iter().rev() {
            let Some(mut turn) = in_store(self.records.turn(State::Done, id))? else {
                continue;
            };
            let is_left = |part: &Part| part.call.is_some_and(|call| calls.contains(&call));
            let Some(first) = turn.parts.iter().position(is_left) else {
                continue;
            };
            for part in turn.parts[first..].iter().rev() {
                let changes = (&part.changes, Known::of(part.cut_off));
                self.restore_own(workspace, changes, Way::Back, report)?;
            }
            if first == 0 {
                in_store(self.records.change(&mut turn, State::Left))?;
                continue;
            }
            let mut parts = turn.parts.clone();
            let left = self.with(&turn, parts.split_off(first))?;
            in_store(self.records.save(&Turn {
                state: State::Left,
                ..left
            }))?;
            turn.set_parts(parts);
            in_store(self.records.save(&turn))?;
        }
        Ok(())
    }

    fn come_back(
        &mut self,
        workspace: &Workspace,
        calls: &[u64],
        report: &mut Report,
    ) -> Result<(), Error> {
        let place = |turn: &Turn| {
            calls
                .iter()
                .position(|call| turn.calls().any(|c| c == *call))
        };
        let mut found = Vec::new();
        for state in [State::Left, State::Undone] {
            for id in in_store(self.records.ids(state))? {
                let turn = in_store(self.records.turn(state, id))?;
                found.extend(turn.and_then(|turn| Some((place(&turn)?, turn))));
            }
        }
        found.sort_by_key(|(place, _)| *place);
        for (_, mut turn) in found {
            let is_back = |part: &&Part| part.call.is_none_or(|call| calls.contains(&call));
            let count = turn.parts.iter().take_while(is_back).count();
            let mut back = turn.parts.clone();
            let rest = back.split_off(count);
            for part in &back {
                let changes = (&part.changes, Known::of(part.cut_off));
                self.restore_own(workspace, changes, Way::Forth, report)?;
            }
            self.put_back(&turn, back)?;
            match rest.is_empty() {
                true => in_store(self.records.remove(turn.state, turn.id))?,
                false => {
                    turn.set_parts(rest);
                    in_store(self.records.save(&turn))?;
                    in_store(self.records.change(&mut turn, State::Left))?;
                }
            }
        }
        Ok(())
    }

    /// Has these parts of a turn be done again: with those of the same turn that are,
    /// if nothing came in between.
    fn put_back(&mut self, turn: &Turn, parts: Vec<Part>) -> Result<(), Error> {
        match self.newest()? {
            _ if parts.is_empty() => Ok(()),
            Some(mut newest) if newest.of == turn.of && newest.of != 0 => {
                newest.cut_off |= turn.cut_off;
                let parts = [newest.parts.clone(), parts].concat();
                newest.set_parts(parts);
                in_store(self.records.save(&newest))
            }
            _ => {
                let turn = self.with(turn, parts)?;
                in_store(self.records.save(&Turn {
                    state: State::Done,
                    ..turn
                }))
            }
        }
    }

    /// A record of its own, for some parts of a turn.
    fn with(&self, turn: &Turn, parts: Vec<Part>) -> Result<Turn, Error> {
        let id = in_store(self.records.last_id())? + 1;
        let mut new = Turn { id, ..turn.clone() };
        new.set_parts(parts);
        Ok(new)
    }
}
