//! The full-screen program from outside: the real binary on a terminal (a PTY), its
//! screen as a terminal's parser sees it.

mod conversation;
mod fork;
mod inline;
mod manners;
mod terminal;
