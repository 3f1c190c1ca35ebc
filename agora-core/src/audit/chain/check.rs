//! Entries from outside, checked one after another.

use serde_json::{Map, Value};

use super::{ChainError, ChainHead};
use crate::canon;
use crate::id::Hash;
use crate::record::{ENTRY_BYTES_MAX, ENTRY_DEPTH_MAX, LOG_ENTRY_BYTES_MAX};
use crate::time::Time;

/// What one entry shows.
#[derive(Debug)]
pub struct Checked {
    /// Its leaf.
    pub leaf: Hash,
    /// Its value, if its bytes are canonical: for the schema, which need not read them again.
    pub value: Option<Value>,
    /// Everything wrong with its frame, in the order of `docs/audit.md` §9.
    pub problems: Vec<ChainError>,
}

/// Checks the entries of a journal from outside, one after another, in one pass: each is hashed once.
///
/// A bad entry does not end the check: its bytes are hashed as they are, and the next one is compared with them.
#[derive(Debug, Clone)]
pub struct ChainCheck<'a> {
    head: ChainHead,
    run: Option<&'a str>,
}

impl<'a> ChainCheck<'a> {
    /// Starts before entry 0 of a run's journal, or of the log's when `run` is `None`.
    #[must_use]
    pub fn new(origin: &str, seed: &str, run: Option<&'a str>) -> Self {
        Self { head: ChainHead::new(origin, seed), run }
    }

    /// Checks the next entry.
    pub fn entry(&mut self, bytes: &[u8]) -> Checked {
        let mut problems = Vec::new();
        let mut at = self.head.last_at();
        let value = match self.read(bytes) {
            Ok(value) => {
                if let Some(members) = value.as_object() {
                    self.run_and_seq(members, &mut problems);
                    self.prev(members, &mut problems);
                    self.time(members, &mut at, &mut problems);
                }
                Some(value)
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let leaf = self.head.advance(bytes, at);
        Checked { leaf, value, problems }
    }

    /// The journal so far.
    #[must_use]
    pub fn head(&self) -> &ChainHead {
        &self.head
    }

    /// The journal, when no entry follows.
    #[must_use]
    pub fn into_head(self) -> ChainHead {
        self.head
    }

    fn position(&self) -> u64 {
        self.head.next_seq()
    }

    fn read(&self, bytes: &[u8]) -> Result<Value, ChainError> {
        let position = self.position();
        let max = if self.run.is_some() { ENTRY_BYTES_MAX } else { LOG_ENTRY_BYTES_MAX };
        if bytes.len() > max {
            return Err(ChainError::Limit { position, bytes: bytes.len(), max });
        }
        canon::entry_value(bytes, ENTRY_DEPTH_MAX, max).map_err(|source| ChainError::Encoding { position, source })
    }

    fn run_and_seq(&self, members: &Map<String, Value>, problems: &mut Vec<ChainError>) {
        let position = self.position();
        if members.get("run").map(Value::as_str) != self.run.map(Some) {
            problems.push(ChainError::Run { position });
        }
        match members.get("seq").and_then(Value::as_u64) {
            Some(given) if given == position => {}
            Some(given) => problems.push(ChainError::Seq { position, given }),
            None => problems.push(ChainError::Member { position, member: "seq" }),
        }
    }

    fn prev(&self, members: &Map<String, Value>, problems: &mut Vec<ChainError>) {
        let position = self.position();
        match members.get("prev").and_then(Value::as_str).and_then(|text| text.parse::<Hash>().ok()) {
            Some(given) if given == self.head.prev() => {}
            Some(_) => problems.push(ChainError::Prev { position }),
            None => problems.push(ChainError::Member { position, member: "prev" }),
        }
    }

    fn time(&self, members: &Map<String, Value>, at: &mut Time, problems: &mut Vec<ChainError>) {
        let (position, last) = (self.position(), self.head.last_at());
        match members.get("at").and_then(Value::as_str).and_then(|text| text.parse::<Time>().ok()) {
            Some(given) if given < last => problems.push(ChainError::Time { position, given, last }),
            Some(given) => *at = given,
            None => problems.push(ChainError::Member { position, member: "at" }),
        }
    }
}

/// Checks a whole journal and returns its end; `run` is `None` for the log.
///
/// # Errors
/// [`ChainError`], the first thing wrong. [`ChainCheck`] finds all.
pub fn verify_chain<'e>(
    entries: impl IntoIterator<Item = &'e [u8]>,
    origin: &str,
    seed: &str,
    run: Option<&str>,
) -> Result<ChainHead, ChainError> {
    let mut check = ChainCheck::new(origin, seed, run);
    for entry in entries {
        if let Some(problem) = check.entry(entry).problems.into_iter().next() {
            return Err(problem);
        }
    }
    Ok(check.into_head())
}
