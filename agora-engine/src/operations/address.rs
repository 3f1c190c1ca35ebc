//! The addresses of resources: what replies hand out and what can be read are one type.

use std::fmt;

use agora_core::error::{Class, Problem};
use agora_core::id::{Digest, ItemId, RunId};

use super::{OpError, Part, ResultArgs};

/// Bytes of the longest address: two ids, a path, percent-encoded.
const URI_BYTES_MAX: usize = 16 * 1024;

/// What an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A part of a result, from a byte on: the arguments that have it.
    Part(Box<ResultArgs>),
    /// The report of this run.
    Report(String),
}

impl Address {
    /// The address of a part, where it has one. An output is named by its digest: its path is a worker's word.
    pub(super) fn of(run: &RunId, item: Option<&ItemId>, part: Part, bytes: &[u8]) -> Option<Self> {
        let path = match (part, item) {
            (Part::Patch, _) | (Part::Log, Some(_)) => None,
            (Part::Output, Some(_)) => Some(Digest::of(bytes).to_string()),
            (Part::Summary | Part::Files | Part::Manifest, _) | (Part::Output | Part::Log, None) => return None,
        };
        let (run_id, item_id, part) = (run.to_string(), item.map(ToString::to_string), Some(part));
        Some(Self::Part(Box::new(ResultArgs { run_id, item_id, part, path, ..ResultArgs::default() })))
    }

    /// Reads an address. Ids and paths are checked by the operations.
    ///
    /// # Errors
    /// `resource-unknown` for what no template gives.
    pub fn parse(uri: &str) -> Result<Self, OpError> {
        Self::try_parse(uri).ok_or_else(|| {
            let problem = Problem::new(Class::Missing, "resource-unknown", "there is no resource of this address");
            OpError::one(problem.hint("see resources/templates/list; result returns the addresses of its parts"))
        })
    }

    fn try_parse(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("agora://run/").filter(|_| uri.len() <= URI_BYTES_MAX)?;
        let (rest, offset) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.strip_prefix("offset=")?.parse().ok()?)),
            None => (rest, None),
        };
        let (run, rest) = rest.split_once('/')?;
        let run_id = decode(run)?;
        if rest == "report" {
            return offset.is_none().then_some(Self::Report(run_id));
        }
        let (item_id, rest) = match rest.strip_prefix("item/") {
            Some(rest) => rest.split_once('/').map(|(item, rest)| Some((Some(decode(item)?), rest)))??,
            None => (None, rest),
        };
        let (part, path) = match (rest, &item_id) {
            ("patch", _) => (Part::Patch, None),
            ("log", Some(_)) => (Part::Log, None),
            // The path stays encoded: that is how replies name outputs.
            (_, Some(_)) => {
                (Part::Output, Some(rest.strip_prefix("output/").filter(|path| !path.is_empty())?.to_owned()))
            }
            (_, None) => return None,
        };
        Some(Self::Part(Box::new(ResultArgs { run_id, item_id, part: Some(part), path, offset, limit: None })))
    }
}

/// The address. Ids, digests and what came out of an address need no more encoding.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args = match self {
            Self::Report(run) => return write!(f, "agora://run/{run}/report"),
            Self::Part(args) => args,
        };
        write!(f, "agora://run/{}", args.run_id)?;
        if let Some(item) = &args.item_id {
            write!(f, "/item/{item}")?;
        }
        match (&args.path, args.part) {
            (Some(path), _) => write!(f, "/output/{path}"),
            (None, Some(Part::Log)) => f.write_str("/log"),
            (None, _) => f.write_str("/patch"),
        }
    }
}

/// Undoes percent-encoding of an id; an id that is not text is nobody's.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                (digit(*high)? * 16 + digit(*low)?, tail)
            }
            (b'%', _) => return None,
            _ => (*first, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(part: Part, path: Option<&str>, offset: Option<u32>) -> Option<Address> {
        let (run_id, item_id, path) = ("r:1".to_owned(), Some("a~b".to_owned()), path.map(str::to_owned));
        Some(Address::Part(Box::new(ResultArgs { run_id, item_id, part: Some(part), path, offset, limit: None })))
    }

    #[test]
    fn addresses_are_read_as_the_templates_say() {
        let whole = ResultArgs { run_id: "r:1".to_owned(), part: Some(Part::Patch), ..ResultArgs::default() };
        let cases = [
            ("agora://run/r:1/patch", Some(Address::Part(Box::new(whole)))),
            ("agora://run/r:1/item/a~b/patch", part(Part::Patch, None, None)),
            ("agora://run/r%3A1/item/a%7eb/log?offset=7", part(Part::Log, None, Some(7))),
            ("agora://run/r:1/item/a~b/output/x/y%20z", part(Part::Output, Some("x/y%20z"), None)),
            ("agora://run/r:1/report", Some(Address::Report("r:1".to_owned()))),
            ("agora://run/r:1/report?offset=1", None),
            ("agora://run/r:1/log", None),
            ("agora://run/r:1/output/x", None),
            ("agora://run/r:1/item/a~b/output/", None),
            ("agora://run/r:1/item/a~b/secret", None),
            ("agora://run/r:1/item/a~b", None),
            ("agora://run//report", None),
            ("agora://run//patch", None),
            ("agora://run/%ff/report", None),
            ("agora://run/%4/report", None),
            ("agora://run/r:1/item/a~b/log?offset=-1", None),
            ("agora://run/r:1/item/a~b/log?limit=1", None),
            ("file:///etc/passwd", None),
        ];
        for (uri, address) in cases {
            assert_eq!(Address::try_parse(uri), address, "{uri}");
        }
        let long = |bytes: usize| format!("agora://run/r/item/i/output/{}", "x".repeat(bytes - 28));
        assert!(Address::try_parse(&long(URI_BYTES_MAX)).is_some());
        assert!(Address::try_parse(&long(URI_BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn every_address_that_is_handed_out_can_be_read() {
        let (run, item) = (RunId::new("r:1").unwrap(), ItemId::new("a~b").unwrap());
        let mut handed_out = 0;
        for item in [None, Some(&item)] {
            for part in [Part::Summary, Part::Patch, Part::Files, Part::Output, Part::Log, Part::Manifest] {
                let Some(address) = Address::of(&run, item, part, b"x") else { continue };
                handed_out += 1;
                assert_eq!(Address::try_parse(&address.to_string()), Some(address));
            }
        }
        assert_eq!(handed_out, 4);
    }
}
