//! Step 9: bytes that a bundle brings along.

use std::collections::BTreeSet;

use super::Code;
use super::checks::Checks;
use crate::audit::bundle::ArtifactPart;
use crate::id::Digest;

const PREFIX: &str = "sha256:";
const HEX: usize = 64;

/// Checks that each is what its digest says, and that an entry names it.
pub(super) fn check(artifacts: &[ArtifactPart], entries: &[String], checks: &mut Checks) {
    if artifacts.is_empty() {
        return;
    }
    let named: BTreeSet<&str> = entries.iter().flat_map(|entry| digests(entry)).collect();
    for (at, artifact) in artifacts.iter().enumerate() {
        let place = format!("artifacts[{at}]");
        let real = Digest::of(&artifact.data.0);
        let wrong =
            (real != artifact.digest).then(|| format!("its bytes have the digest {real}, not {}", artifact.digest));
        checks.settle(Code::ArtifactDigest, &place, wrong);
        let text = artifact.digest.to_string();
        let wrong = (!named.contains(text.as_str())).then(|| format!("no entry names {text}"));
        checks.settle(Code::ArtifactUnreferenced, &place, wrong);
    }
}

/// The digests in an entry. In canonical form they stand nowhere in parts.
fn digests(entry: &str) -> impl Iterator<Item = &str> {
    entry.match_indices(PREFIX).filter_map(|(at, _)| entry.get(at..at + PREFIX.len() + HEX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_wherever_an_entry_has_them() {
        let (one, two) = (Digest::of(b"1").to_string(), Digest::of(b"2").to_string());
        let entry = format!(r#"{{"a":"{one}","b":["{two}"],"c":"sha256:short"}}"#);
        assert_eq!(digests(&entry).filter(|text| text.parse::<Digest>().is_ok()).collect::<Vec<_>>(), [&one, &two]);
    }
}
