//! What only the inside of the backend can test: where weights lie, and faults
//! that show when something is computed.

mod faults;
mod placement;
