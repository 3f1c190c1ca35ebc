use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::audit::note::{Note, VerifyKey, key_id};
use crate::canon::INTEGER_MAX;
use crate::error::Coded;
use crate::id::Hash;

const LOG: &str = "example.com/agora";

/// RFC 8032 §7.1, test 1.
const SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5,
    0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];

struct Key {
    pair: Ed25519KeyPair,
    known: VerifyKey,
}

fn key(name: &str, seed: [u8; 32]) -> Key {
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    Key { pair, known: VerifyKey::new(name, public).unwrap() }
}

impl Key {
    fn note(&self, checkpoint: &Checkpoint) -> Vec<u8> {
        let signature = self.pair.sign(checkpoint.text().as_bytes());
        checkpoint.sign(&self.known.name, &self.known.public_key, &signature.as_ref().try_into().unwrap()).unwrap()
    }
}

fn example() -> Checkpoint {
    let root = "fdde6b47603d979c3a52e96ded2d77ba04e46b91c920ec60d15e11bca609f0f8".parse().unwrap();
    Checkpoint { origin: LOG.to_owned(), size: 2, root }
}

fn open(bytes: &[u8], keys: &[VerifyKey], others: &[VerifyKey]) -> Result<Opened, &'static str> {
    Checkpoint::open(bytes, LOG, RoleKeys { name: LOG, keys, others }).map_err(|e| e.code())
}

/// The example of `docs/audit.md` §12.
#[test]
fn the_example_of_the_format_holds() {
    let log = key(LOG, SEED);
    assert_eq!(key_id(LOG, &log.known.public_key), [0x68, 0xff, 0xe0, 0x7c]);
    let note = log.note(&example());
    let want = "example.com/agora\n2\n/d5rR2A9l5w6Uult7S13ugTka5HJIOxg0V4RvKYJ8Pg=\n\n\
                — example.com/agora aP/gfK1C42FaaICcgaI071uFNNY8DNo9VOuGJejqll1uNLY+3+bc2BbtSX6KD5jY7uOx6A4YyQfNPtMcYmJpl6NT9w4=\n";
    assert_eq!(String::from_utf8(note.clone()).unwrap(), want);
    assert_eq!(open(&note, &[log.known], &[]), Ok(Opened { checkpoint: example(), keys: vec![0], ignored: 0 }));
}

#[test]
fn who_signed_is_told_apart() {
    let (log, run, stranger) = (key(LOG, SEED), key("example.com/agora/run", [1; 32]), key(LOG, [2; 32]));
    let (role, others) = ([log.known.clone()], [run.known.clone()]);
    let good = log.note(&example());
    assert!(open(&good, &role, &others).is_ok());
    assert_eq!(open(&run.note(&example()), &role, &others), Err("key-role"));
    assert_eq!(open(&stranger.note(&example()), &role, &others), Err("key-unknown"));
    assert_eq!(open(&key("somebody", [3; 32]).note(&example()), &role, &others), Err("checkpoint-unsigned"));
    assert_eq!(open(format!("{}\n", example().text()).as_bytes(), &role, &others), Err("checkpoint-unsigned"));
    // A line that only claims to be the other role's is not.
    let mut claimed = Note::new(example().text()).unwrap();
    claimed.sign(&run.known.name, &run.known.public_key, &[7; 64]).unwrap();
    assert_eq!(open(&claimed.to_bytes(), &role, &others), Err("checkpoint-unsigned"));
    // A forged line of the role is not excused by anything beside it.
    let mut forged = Note::parse(&good).unwrap();
    forged.sign(LOG, &log.known.public_key, &[7; 64]).unwrap();
    assert_eq!(open(&forged.to_bytes(), &role, &others), Err("checkpoint-signature"));
    // Lines by others beside a good one, a witness's, are counted.
    let mut witnessed = Note::parse(&good).unwrap();
    witnessed.sign("witness", &[9; 32], &[7; 64]).unwrap();
    assert_eq!(open(&witnessed.to_bytes(), &role, &others).map(|o| o.ignored), Ok(1));
    let weak = VerifyKey { name: LOG.to_owned(), public_key: [0; 32] };
    let note = example().sign(LOG, &weak.public_key, &[0; 64]).unwrap();
    assert_eq!(open(&note, &[weak], &[]), Err("key-weak"));
}

#[test]
fn an_old_and_a_new_key_share_a_name() {
    let (old, new) = (key(LOG, SEED), key(LOG, [2; 32]));
    let keys = [old.known.clone(), new.known.clone()];
    assert_eq!(open(&old.note(&example()), &keys, &[]).map(|o| o.keys), Ok(vec![0]));
    assert_eq!(open(&new.note(&example()), &keys, &[]).map(|o| o.keys), Ok(vec![1]));
}

#[test]
fn origin_size_and_root_are_compared() {
    let log = key(LOG, SEED);
    let other = Checkpoint { origin: "example.com/agora/run/r1".to_owned(), ..example() };
    assert_eq!(open(&log.note(&other), std::slice::from_ref(&log.known), &[]), Err("checkpoint-origin"));
    let root = example().root;
    assert_eq!(example().covers(2, &root), Ok(()));
    assert_eq!(example().covers(3, &root).unwrap_err().code(), "checkpoint-size");
    assert_eq!(example().covers(2, &Hash([0; 32])).unwrap_err().code(), "checkpoint-root");
}

#[test]
fn the_text_has_one_form() {
    let good = example().text();
    assert_eq!(Checkpoint::parse_text(&good), Ok(example()));
    let empty = Checkpoint { size: 0, ..example() };
    assert_eq!(Checkpoint::parse_text(&empty.text()), Ok(empty));
    let most = Checkpoint { size: INTEGER_MAX, ..example() };
    assert_eq!(Checkpoint::parse_text(&most.text()), Ok(most));
    for (name, bad) in [
        ("extension line", format!("{good}more\n")),
        ("empty line", format!("{good}\n")),
        ("two lines", "example.com/agora\n2\n".to_owned()),
        ("no LF", good.trim_end().to_owned()),
        ("CRLF", good.replace('\n', "\r\n")),
        ("leading zero", good.replace("\n2\n", "\n02\n")),
        ("sign", good.replace("\n2\n", "\n+2\n")),
        ("minus", good.replace("\n2\n", "\n-2\n")),
        ("no size", good.replace("\n2\n", "\n\n")),
        ("space", good.replace("\n2\n", "\n2 \n")),
        ("size beyond 2^53-1", good.replace("\n2\n", "\n9007199254740992\n")),
        ("size beyond 64 bits", good.replace("\n2\n", "\n18446744073709551616\n")),
        ("short root", good.replace("8Pg=", "8A==")),
        ("root with spare bits", good.replace("8Pg=", "8Ph=")),
        ("no padding", good.replace("8Pg=", "8Pg")),
        ("no origin", good.replace(LOG, "")),
        ("space in the origin", good.replace(LOG, "example.com agora")),
        ("plus in the origin", good.replace(LOG, "example.com+agora")),
        ("not ASCII", good.replace(LOG, "exämple.com")),
        ("long origin", good.replace(LOG, &"x".repeat(ORIGIN_BYTES_MAX + 1))),
    ] {
        assert_ne!(bad, good, "{name}");
        assert!(matches!(Checkpoint::parse_text(&bad), Err(CheckpointError::Format(_))), "{name}");
    }
    assert!(Checkpoint { size: u64::MAX, ..example() }.sign("k", &[9; 32], &[0; 64]).is_err());
    // The note around it is held to its form too, and the signature is not asked about first.
    let log = key(LOG, SEED);
    let note = String::from_utf8(log.note(&example())).unwrap();
    for bad in [
        note.replace('\n', "\r\n"),
        note.trim_end().to_owned(),
        note.replace("\n2\n", "\n02\n"),
        note.replace("\n\n", "\nx\n\n"),
    ] {
        assert_eq!(open(bad.as_bytes(), std::slice::from_ref(&log.known), &[]), Err("checkpoint-format"));
    }
}

#[test]
fn origins_have_a_syntax() {
    for good in ["example.com/agora", "localhost", "a/B_c.d-e/f", &"a".repeat(100)] {
        assert!(is_log_origin(good), "{good}");
    }
    for bad in ["", "/a", "a/", "a//b", "Example.com", "a b", "a/ü", "a:b", &"a".repeat(101)] {
        assert!(!is_log_origin(bad), "{bad}");
    }
    assert_eq!(run_origin(LOG, &"r1".parse().unwrap()), "example.com/agora/run/r1");
    assert_eq!(run_key_name(LOG), "example.com/agora/run");
}

proptest! {
    #[test]
    fn texts_round_trip(size in 0..=INTEGER_MAX, root in any::<[u8; 32]>()) {
        let checkpoint = Checkpoint { origin: LOG.to_owned(), size, root: Hash(root) };
        prop_assert_eq!(Checkpoint::parse_text(&checkpoint.text()), Ok(checkpoint));
    }

    #[test]
    fn any_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let log = key(LOG, SEED);
        let mut note = log.note(&example());
        prop_assert!(open(&note, std::slice::from_ref(&log.known), &[]).is_ok());
        let at = at.index(note.len());
        note[at] ^= 1 << bit;
        prop_assert!(open(&note, &[log.known], &[]).is_err());
    }
}
