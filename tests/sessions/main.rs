//! Sessions from outside: the real program with the demo model that comes with it.

mod full;
mod kept;
mod replay;
mod world;
