//! The hash chain over the journal's lines: a line that was changed, taken out or put in shows.
//!
//! Deliberately absent: a signature. Whoever may write the journal can also write a new chain; keep a copy of the last digest
//! elsewhere to notice that, or that lines are missing at the end.

use serde::Serialize;

use super::event::{Event, Line, RunId};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// The line that follows `previous` (none: the first line of the journal).
///
/// ```
/// use dr_core::run::{Event, RunId, chain};
/// let note = Event::UndoBegun { why: "asked for".into() };
/// let first = chain::next_line(None, RunId::from_bytes([1; 8]), Default::default(), note.clone());
/// let second = chain::next_line(Some((first.number, first.digest)), first.run, first.at, note);
/// assert!(chain::verify(&[first.clone(), second.clone()]).is_ok());
/// assert!(chain::verify(&[second]).is_err(), "the first line is missing");
/// ```
#[must_use]
pub fn next_line(previous: Option<(u64, Digest)>, run: RunId, at: Timestamp, event: Event) -> Line {
    let (number, previous) = previous.unwrap_or_else(|| (0, Digest::of(b"")));
    let number = number.saturating_add(1);
    let digest = digest_of(number, run, at, &event, previous);
    Line { number, run, at, event, previous, digest }
}

/// Checks a whole journal, oldest line first: every digest, every link, no gap. An error of kind `Corrupt` names the line.
pub fn verify(lines: &[Line]) -> Result<()> {
    let mut expected = (1, Digest::of(b""));
    for line in lines {
        verify_line(line)?;
        if line.number != expected.0 {
            return Err(broken(expected.0, &format!("it is missing; line {} follows", line.number)));
        }
        if line.previous != expected.1 {
            return Err(broken(line.number, "it does not follow from the line before"));
        }
        expected = (line.number.saturating_add(1), line.digest);
    }
    Ok(())
}

/// Checks one line by itself: whether its content is what its digest says.
pub fn verify_line(line: &Line) -> Result<()> {
    if digest_of(line.number, line.run, line.at, &line.event, line.previous) == line.digest {
        return Ok(());
    }
    Err(broken(line.number, "its content is not what its digest says"))
}

/// Everything in a line but its digest, in a fixed order.
#[derive(Serialize)]
struct Body<'a> {
    number: u64,
    run: RunId,
    at: Timestamp,
    event: &'a Event,
    previous: Digest,
}

fn digest_of(number: u64, run: RunId, at: Timestamp, event: &Event, previous: Digest) -> Digest {
    Digest::of_value(&Body { number, run, at, event, previous })
}

fn broken(number: u64, why: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "trust the journal",
        format!("line {number} was tampered with or damaged: {why}"),
    )
    .hint("do not resume or undo from it; restore the journal from a copy and look at the world by dr check")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(length: u8) -> Vec<Line> {
        let mut lines: Vec<Line> = vec![];
        for number in 0..length {
            let event =
                Event::StepBegun { step: usize::from(number), direction: super::super::Direction::Forward };
            let previous = lines.last().map(|line| (line.number, line.digest));
            lines.push(next_line(previous, RunId::from_bytes([number; 8]), Timestamp::from_micros(1), event));
        }
        lines
    }

    #[test]
    fn an_untouched_journal_verifies_and_every_change_shows() {
        let lines = journal(5);
        verify(&lines).unwrap();
        verify(&[]).unwrap();
        type Tamper = Box<dyn Fn(&mut Vec<Line>)>;
        let tampered: Vec<Tamper> = vec![
            Box::new(|lines| lines[2].at = Timestamp::from_micros(2)),
            Box::new(|lines| lines[2].run = RunId::from_bytes([9; 8])),
            Box::new(|lines| lines[2].event = Event::UndoBegun { why: String::new() }),
            Box::new(|lines| lines[2].number = 7),
            Box::new(|lines| drop(lines.remove(2))),
            Box::new(|lines| drop(lines.remove(0))),
            Box::new(|lines| lines.swap(1, 2)),
            Box::new(|lines| lines.insert(2, lines[2].clone())),
            Box::new(|lines| {
                // Changed and its own digest made right again: the next link tells.
                let forged = Event::UndoBegun { why: "forged".into() };
                let before = (lines[1].number, lines[1].digest);
                lines[2] = next_line(Some(before), lines[2].run, lines[2].at, forged);
            }),
        ];
        for (case, tamper) in tampered.iter().enumerate() {
            let mut lines = lines.clone();
            tamper(&mut lines);
            assert_eq!(verify(&lines).unwrap_err().kind(), ErrorKind::Corrupt, "case {case}");
        }
    }
}
