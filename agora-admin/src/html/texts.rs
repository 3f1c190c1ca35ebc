//! The bytes that entries name by digest, as far as they are shown: only where they are those of the digest, and no more of
//! them than a page can take. The rest is named with its size and digest.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::audit::bundle::ArtifactPart;
use agora_core::id::Digest;
use agora_core::seam::{BlobError, BlobStore};

use super::items::Shown;
use super::run::Run;

/// Bytes of one patch that are shown: some two thousand lines, more than anybody reviews on a page.
pub(super) const PATCH_BYTES_MAX: usize = 64 << 10;
/// Bytes of a message, question or answer that are shown.
pub(super) const WORDS_BYTES_MAX: usize = 4 << 10;
/// Bytes of all texts of a page together: what browsers still lay out in seconds.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// What is known of the bytes of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    /// Their beginning, and how many there are.
    Found { head: Vec<u8>, bytes: u64 },
    /// They are not here.
    Gone,
    /// What is here is something else.
    Damaged,
    /// They could not be read.
    Unread,
    /// The page is full.
    Full,
}

/// The texts of a page.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    found: BTreeMap<Digest, Text>,
    bytes: usize,
}

impl Texts {
    /// Reads what a page of this run shows from the store, which keeps to digests itself; they are compared here once more.
    pub(crate) async fn stored(run: &Run<'_>, blobs: &dyn BlobStore) -> Self {
        let mut texts = Self::default();
        for (digest, bytes_max) in wanted(run) {
            if texts.has_room(digest) {
                let found = match blobs.get(&digest).await {
                    Ok(bytes) => Ok(bytes),
                    Err(BlobError::Missing(_)) => Err(Text::Gone),
                    Err(BlobError::Damaged { .. }) => Err(Text::Damaged),
                    Err(_) => Err(Text::Unread),
                };
                texts.keep(digest, found, bytes_max);
            }
        }
        texts
    }

    /// Takes what a page of this run shows from a bundle with artifacts.
    pub(crate) fn bundled(run: &Run<'_>, artifacts: &[ArtifactPart]) -> Self {
        let known: BTreeMap<Digest, &[u8]> =
            artifacts.iter().map(|part| (part.digest, part.data.0.as_slice())).collect();
        let mut texts = Self::default();
        for (digest, bytes_max) in wanted(run) {
            if texts.has_room(digest) {
                let found = known.get(&digest).map(|bytes| bytes.to_vec()).ok_or(Text::Gone);
                texts.keep(digest, found, bytes_max);
            }
        }
        texts
    }

    /// What is known of a digest.
    pub(super) fn of(&self, digest: &Digest) -> &Text {
        self.found.get(digest).unwrap_or(&Text::Full)
    }

    fn has_room(&mut self, digest: Digest) -> bool {
        !self.found.contains_key(&digest) && self.bytes < PAGE_BYTES_MAX
    }

    fn keep(&mut self, digest: Digest, found: Result<Vec<u8>, Text>, bytes_max: usize) {
        let text = match found {
            Ok(bytes) if Digest::of(&bytes) != digest => Text::Damaged,
            Ok(mut bytes) => {
                let all = bytes.len() as u64;
                bytes.truncate(end_of(&bytes, bytes_max));
                bytes.shrink_to_fit();
                self.bytes += bytes.len();
                Text::Found { head: bytes, bytes: all }
            }
            Err(text) => text,
        };
        self.found.insert(digest, text);
    }
}

/// Where to cut: after the last line that fits; in the midst of a line that is longer than all there is room for.
fn end_of(bytes: &[u8], bytes_max: usize) -> usize {
    if bytes.len() <= bytes_max {
        return bytes.len();
    }
    let fits = &bytes[..bytes_max];
    fits.iter().rposition(|byte| *byte == b'\n').map_or(bytes_max, |at| at + 1)
}

/// Patches of accepted attempts first, then what was said.
fn wanted(run: &Run<'_>) -> Vec<(Digest, usize)> {
    let shown = Shown::of(run);
    let items = || run.items.iter().enumerate().filter(|(at, _)| shown.has(*at)).map(|(_, item)| item);
    let patches = items().filter_map(|item| item.accepted()?.finished?.body.patch.as_ref());
    let mut all: Vec<(Digest, usize)> = patches.map(|patch| (patch.digest, PATCH_BYTES_MAX)).collect();
    for item in items() {
        let messages: BTreeSet<Digest> = item.attempts.iter().filter_map(|attempt| attempt.leased.message).collect();
        let asked = item.questions.iter().map(|question| question.asked.text);
        let answers = item.questions.iter().filter_map(|question| question.answered?.0.answer);
        all.extend(messages.into_iter().chain(asked).chain(answers).map(|digest| (digest, WORDS_BYTES_MAX)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_after_a_line() {
        assert_eq!(end_of(b"ab\ncd\n", 6), 6);
        assert_eq!(end_of(b"ab\ncd\n", 5), 3);
        assert_eq!(end_of(b"abcdef", 4), 4);
    }

    #[test]
    fn bytes_of_another_digest_are_not_shown() {
        let mut texts = Texts::default();
        let (good, bad) = (Digest::of(b"good"), Digest::of(b"bad"));
        texts.keep(good, Ok(b"good".to_vec()), 2);
        texts.keep(bad, Ok(b"good".to_vec()), 2);
        assert_eq!(texts.of(&good), &Text::Found { head: b"go".to_vec(), bytes: 4 });
        assert_eq!(texts.of(&bad), &Text::Damaged);
        assert_eq!(texts.of(&Digest::of(b"other")), &Text::Full);
    }
}
