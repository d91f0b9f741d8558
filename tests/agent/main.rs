//! What a front end does to a running turn and what it hears of it, with the demo
//! model: live output, the thinking keys, steering, the user's own commands.

mod live;
mod shell;
mod stage;
mod steering;
mod thinking;
