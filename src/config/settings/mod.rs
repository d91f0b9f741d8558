//! What can be set, by whom, and to what: one table, the kinds of values, and what
//! the layers make of it together.

mod nearest;
mod resolved;
mod table;
mod value;

pub use nearest::{distance, nearest};
pub use resolved::{Contribution, Model, Origin, Resolved, Sources, flag_value};
pub use table::{Default, LEVELS, SETTINGS, Setting, THEMES, Who, tables};
pub use value::{Bound, Kind, Switch, Value};
