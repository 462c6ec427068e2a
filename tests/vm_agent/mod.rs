//! What the suites of several agents share: calls, answers, commands.

pub mod answer;
pub mod call;
pub mod shell;
