//! Checks on the source of the house itself: which module may import which and
//! where `unsafe` may stand. They read the files, so they hold for test code and
//! for code behind any `cfg` alike.

#[path = "floors/edges.rs"]
mod edges;
#[path = "floors/source.rs"]
mod source;
#[path = "floors/unsafe_code.rs"]
mod unsafe_code;
