//! What can go wrong between messages and a prompt.

/// `Display` is one line: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// Longest message kept: template errors can quote a whole conversation.
    const LIMIT: usize = 500;

    pub fn new(message: impl AsRef<str>) -> Self {
        let mut line = String::new();
        for word in message.as_ref().split_whitespace() {
            if line.len() + word.len() >= Self::LIMIT {
                line.push_str(" ...");
                break;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        // Control characters could drive the terminal that shows the line.
        Self(line.replace(|c: char| c.is_control(), "\u{fffd}"))
    }
}
