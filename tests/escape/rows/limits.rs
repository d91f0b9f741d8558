//! What would go on for ever, or take everything.

use super::Expected::{Allowed, Denied, Killed};
use super::{Row, row};

pub const ROWS: &[Row] = &[
    row(56, "fill shared memory", Denied, &["fill /dev/shm/x"]),
    row(57, "a file of a terabyte", Killed, &["sparse {W}/sparse"]),
    row(63, "a dump of memory", Killed, &["dump-core"]),
    row(64, "run for ever", Killed, &["sleep"]),
    row(55, "fork bomb", Denied, &["fork-bomb"]),
    Row {
        number: 56,
        name: "all the memory",
        expected: Killed,
        flags: &["--memory", "200"],
        attempts: &["take-memory"],
    },
    row(58, "output without end", Killed, &["flood lines"]),
    row(58, "one line without end", Killed, &["flood line"]),
    row(59, "a daemon", Allowed, &["daemon"]),
    row(60, "hold the pipe open", Allowed, &["hold-pipe"]),
    Row {
        number: 61,
        name: "ignore every signal",
        expected: Killed,
        flags: &["--timeout", "1"],
        attempts: &["ignore-signals"],
    },
    Row {
        number: 61,
        name: "stop itself",
        expected: Killed,
        flags: &["--timeout", "1"],
        attempts: &["stop-self"],
    },
    Row {
        number: 61,
        name: "wait for a FIFO",
        expected: Killed,
        flags: &["--timeout", "1"],
        attempts: &["wait-for-fifo {W}/fifo"],
    },
    Row {
        number: 64,
        name: "compute for ever",
        expected: Killed,
        flags: &["--timeout", "1"],
        attempts: &["spin"],
    },
];
