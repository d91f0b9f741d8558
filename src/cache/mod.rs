//! Per-layer state of a sequence: snapshot, fork, exact truncation.
