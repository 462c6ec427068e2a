//! What the worker tells the supervisor over its pipe: frames small enough that each is one atomic write.

use std::io::{self, Write};

use crate::ocf::error::Code;
use crate::ocf::run::Answer;

/// The longest text in a frame: with the head it stays below `PIPE_BUF` (4096), so frames of several threads never mix.
const LONGEST: usize = 2000;
const HEAD: usize = 3;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// What is being done now.
    Progress(String),
    /// Another worker was waited for, and now it begins.
    Begun,
    /// The answer. Nothing of weight follows it.
    Answer(Answer),
}

impl Frame {
    /// Writes it, by one `write(2)`.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub fn send(&self, mut to: impl Write) -> io::Result<()> {
        let flag = |is: bool| if is { 'y' } else { 'n' };
        let (kind, text) = match self {
            Self::Progress(text) => (b'p', text.clone()),
            Self::Begun => (b'b', String::new()),
            Self::Answer(answer) => {
                let reason = answer.reason.as_deref().unwrap_or_default();
                (b'a', format!("{} {}{} {reason}", answer.code as u8, flag(answer.stuck), flag(answer.reason.is_some())))
            }
        };
        let text = shortened(&text, LONGEST).as_bytes();
        let length = u16::try_from(text.len()).map_err(io::Error::other)?;
        let mut bytes = vec![kind];
        bytes.extend(length.to_le_bytes());
        bytes.extend(text);
        to.write_all(&bytes)
    }
}

/// Puts frames together again.
#[derive(Debug, Default)]
pub struct Frames {
    pending: Vec<u8>,
}

impl Frames {
    /// Takes what came out of the pipe.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }
}

impl Iterator for Frames {
    type Item = Frame;

    /// The next complete frame. What is no frame of ours is skipped.
    fn next(&mut self) -> Option<Frame> {
        loop {
            let head: [u8; HEAD] = self.pending.get(..HEAD)?.try_into().ok()?;
            let end = HEAD + usize::from(u16::from_le_bytes([head[1], head[2]]));
            let text = String::from_utf8_lossy(self.pending.get(HEAD..end)?).into_owned();
            self.pending.drain(..end);
            match head[0] {
                b'p' => return Some(Frame::Progress(text)),
                b'b' => return Some(Frame::Begun),
                b'a' => {
                    if let Some(answer) = parse_answer(&text) {
                        return Some(Frame::Answer(answer));
                    }
                }
                _ => {}
            }
        }
    }
}

fn parse_answer(text: &str) -> Option<Answer> {
    let mut parts = text.splitn(3, ' ');
    let code = Code::from_number(parts.next()?.parse().ok()?);
    let flags = parts.next()?;
    let reason = parts.next()?.to_owned();
    Some(Answer { code, stuck: flags.starts_with('y'), reason: flags.ends_with('y').then_some(reason) })
}

/// At most `most` bytes of a text, cut between two characters.
pub fn shortened(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_torn_and_joined() {
        let all = [
            Frame::Begun,
            Frame::Progress("disable iqn.2016-12.net.example:t1".to_owned()),
            Frame::Answer(Answer { code: Code::Degraded, reason: Some("two words".to_owned()), stuck: true }),
            Frame::Progress(String::new()),
            Frame::Answer(Answer { code: Code::Success, reason: None, stuck: false }),
        ];
        let mut bytes = Vec::new();
        for frame in &all {
            frame.send(&mut bytes).unwrap();
        }
        for torn in [1, 2, 7, bytes.len()] {
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for piece in bytes.chunks(torn) {
                frames.feed(piece);
                got.extend(frames.by_ref());
            }
            assert_eq!(got, all, "torn into {torn}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut bytes = Vec::new();
        Frame::Progress("ü".repeat(4000)).send(&mut bytes).unwrap();
        assert!(bytes.len() < 4096);
        let mut frames = Frames::default();
        frames.feed(&bytes);
        assert_eq!(frames.next(), Some(Frame::Progress("ü".repeat(LONGEST / 2))));
    }
}
