use proptest::prelude::*;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::key::ORDER_8;
use super::*;

/// Go's `note` package, its examples: key, text and note.
const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const NEUMANN_LINE: &str =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str =
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> VerifyKey {
    VerifyKey::parse(text).unwrap()
}

fn pair(seed: u8) -> (Ed25519KeyPair, [u8; 32]) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    (pair, public)
}

fn signature(pair: &Ed25519KeyPair, text: &str) -> [u8; 64] {
    pair.sign(text.as_bytes()).as_ref().try_into().unwrap()
}

#[test]
fn notes_of_gos_package_verify() {
    let bytes = format!("{TEXT}\n{NEUMANN_LINE}{ENOCH_LINE}").into_bytes();
    let note = Note::parse(&bytes).unwrap();
    assert_eq!((note.text.as_str(), note.to_bytes()), (TEXT, bytes));
    let keys = [key(NEUMANN), key(ENOCH)];
    assert_eq!(keys.each_ref().map(ToString::to_string), [NEUMANN, ENOCH]);
    assert_eq!(note.verify(&keys), Ok(Verified { keys: vec![0, 1], unknown: 0 }));
    assert_eq!(note.verify(&keys[1..]), Ok(Verified { keys: vec![0], unknown: 1 }));
    assert_eq!(note.verify(&[]), Ok(Verified { keys: vec![], unknown: 2 }));
}

#[test]
fn a_changed_text_or_signature_does_not_verify() {
    let keys = [key(NEUMANN), key(ENOCH)];
    let bad = |note: String| Note::parse(note.as_bytes()).unwrap().verify(&keys).unwrap_err();
    let neumann = NoteError::Signature { name: "PeterNeumann".to_owned() };
    assert_eq!(bad(format!("{}\n{NEUMANN_LINE}", TEXT.replace("answer", "Answer"))), neumann);
    assert_eq!(bad(format!("{TEXT}\n{}", NEUMANN_LINE.replace("ZJkuBS", "ZJkuBT"))), neumann);
    // One that verifies does not excuse one that does not.
    assert_eq!(bad(format!("{TEXT}\n{ENOCH_LINE}{}", NEUMANN_LINE.replace("ZJkuBS", "ZJkuBT"))), neumann);
    // Another length under a known name and id is a bad signature, not an unknown line.
    assert_eq!(bad(format!("{TEXT}\n— PeterNeumann x08goxox\n")), neumann);
}

#[test]
fn a_repeated_line_counts_once_and_an_unknown_key_under_a_known_name_is_unknown() {
    let twice = Note::parse(format!("{TEXT}\n{NEUMANN_LINE}{NEUMANN_LINE}").as_bytes()).unwrap();
    assert_eq!(twice.verify(&[key(NEUMANN)]), Ok(Verified { keys: vec![0], unknown: 0 }));
    let other = VerifyKey::new("PeterNeumann", pair(1).1).unwrap();
    assert_eq!(twice.verify(&[other]), Ok(Verified { keys: vec![], unknown: 2 }));
}

#[test]
fn a_note_has_one_form() {
    let good = format!("{TEXT}\n{NEUMANN_LINE}");
    assert!(Note::parse(good.as_bytes()).is_ok());
    assert!(Note::parse(format!("a\n\nb\n\n{NEUMANN_LINE}").as_bytes()).is_ok(), "an empty line in the text");
    for (name, bad) in [
        ("no signature", format!("{TEXT}\n")),
        ("no empty line", format!("{TEXT}{NEUMANN_LINE}")),
        ("no LF at the end", good.trim_end().to_owned()),
        ("CRLF", good.replace('\n', "\r\n")),
        ("CR in the text", good.replace("answer", "ans\rwer")),
        ("NUL in the text", good.replace("answer", "ans\0wer")),
        ("an LF too many", format!("{good}\n")),
        ("hyphen for dash", good.replace('—', "-")),
        ("no space after the dash", good.replace("— ", "—")),
        ("two spaces", good.replace("PeterNeumann ", "PeterNeumann  ")),
        ("trailing space", good.replace("nAM=\n", "nAM= \n")),
        ("no name", good.replace("PeterNeumann", "")),
        ("plus in the name", good.replace("PeterNeumann", "Peter+Neumann")),
        ("unpadded base64", good.replace("nAM=", "nAM")),
        ("spare bits set", good.replace("nAM=", "nAN=")),
        ("not base64", good.replace("nAM=", "n*M=")),
        ("too short", format!("{TEXT}\n— PeterNeumann x08gow==\n")),
        ("empty", String::new()),
        ("17 lines", format!("{TEXT}\n{}", NEUMANN_LINE.repeat(17))),
        ("too long", format!("{}\n\n{NEUMANN_LINE}", "x".repeat(NOTE_BYTES_MAX))),
    ] {
        assert_ne!(bad, good, "{name}");
        assert!(matches!(Note::parse(bad.as_bytes()), Err(NoteError::Format(_))), "{name}");
    }
    assert!(Note::parse(format!("{TEXT}\n{}", NEUMANN_LINE.repeat(16)).as_bytes()).is_ok());
    assert!(Note::parse(&[good.as_bytes(), b"\xff"].concat()).is_err());
    assert!(Note::new("no end").is_err());
}

#[test]
fn signing_assembles_what_parsing_reads() {
    let (pair, public) = pair(7);
    let bytes = sign_text(TEXT, "example.com/key", &public, &signature(&pair, TEXT)).unwrap();
    let note = Note::parse(&bytes).unwrap();
    let known = VerifyKey::new("example.com/key", public).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&known)), Ok(Verified { keys: vec![0], unknown: 0 }));
    let line = &note.signatures[0];
    assert_eq!(&Signature::from_parts(&line.name, &line.base64()).unwrap(), line);
    assert!(sign_text("no LF", "k", &public, &[0; 64]).is_err());
    assert!(sign_text("a\n", "a key", &public, &[0; 64]).is_err());
    let mut full = note.clone();
    for _ in 1..SIGNATURES_MAX {
        full.sign("k", &public, &[0; 64]).unwrap();
    }
    assert!(full.sign("k", &public, &[0; 64]).is_err());
}

#[test]
fn keys_have_one_form() {
    for (name, bad) in [
        ("another id", NEUMANN.replace("c74f20a3", "c74f20a4")),
        ("id in upper case", NEUMANN.replace("c74f20a3", "C74F20A3")),
        ("another name", NEUMANN.replace("Peter", "Petra")),
        ("two parts", "PeterNeumann+c74f20a3".to_owned()),
        ("another algorithm", NEUMANN.replace("+ARpc", "+Ahpc")),
        ("short key", "a+00000000+AQAA".to_owned()),
        ("no key", "a+00000000+".to_owned()),
        ("space in the name", NEUMANN.replace("PeterN", "Peter N")),
        ("trailing LF", format!("{NEUMANN}\n")),
    ] {
        assert_ne!(bad, NEUMANN, "{name}");
        assert!(matches!(VerifyKey::parse(&bad), Err(NoteError::Key(_))), "{name}");
    }
    let public = *b"\x1a\x5c\xd9\x07\x14\x3c\x38\x4c\x41\xe8\x30\xc5\xbc\xe1\x2a\xa8\x81\x7e\xc5\x64\x9a\xaa\xbf\x2c\x31\x38\x8b\x35\xb2\xd7\x44\xd6";
    assert_eq!(
        NEUMANN.parse::<VerifyKey>().unwrap(),
        VerifyKey { name: "PeterNeumann".to_owned(), public_key: public }
    );
    assert!(VerifyKey::new("k".repeat(KEY_NAME_BYTES_MAX), public).is_ok());
    assert!(VerifyKey::new("k".repeat(KEY_NAME_BYTES_MAX + 1), public).is_err());
}

/// Little-endian: the first byte, 30 in the middle, the last.
fn encoded(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut key = [middle; 32];
    key[0] = first;
    key[31] = last;
    key
}

#[test]
fn weak_keys_are_refused_with_either_top_bit() {
    for (name, weak) in [
        ("0", encoded(0, 0, 0)),
        ("1", encoded(1, 0, 0)),
        ("p-1", encoded(0xEC, 0xFF, 0x7F)),
        ("p", encoded(0xED, 0xFF, 0x7F)),
        ("p+1", encoded(0xEE, 0xFF, 0x7F)),
        ("2^255-1", encoded(0xFF, 0xFF, 0x7F)),
        ("order 8", ORDER_8[0]),
        ("order 8 too", ORDER_8[1]),
    ] {
        let mut high = weak;
        high[31] |= 0x80;
        assert!(is_weak(&weak) && is_weak(&high), "{name}");
        assert_eq!(VerifyKey::new("k", weak), Err(NoteError::Weak { name: "k".to_owned() }), "{name}");
    }
    for (name, good) in [
        ("2", encoded(2, 0, 0)),
        ("p-2", encoded(0xEB, 0xFF, 0x7F)),
        ("a middle byte", encoded(0xEC, 0xFE, 0x7F)),
        ("a real key", pair(3).1),
    ] {
        assert!(!is_weak(&good), "{name}");
    }
}

#[test]
fn what_a_weak_key_would_sign_does_not_verify() {
    let weak = VerifyKey { name: "k".to_owned(), public_key: encoded(1, 0, 0) };
    let forged = [encoded(1, 0, 0), [0; 32]].concat();
    assert!(UnparsedPublicKey::new(&ED25519, weak.public_key).verify(b"anything", &forged).is_ok(), "the attack works");
    assert!(!weak.verifies(b"anything", &forged));
    let bytes = sign_text("anything\n", "k", &weak.public_key, &forged.try_into().unwrap()).unwrap();
    let note = Note::parse(&bytes).unwrap();
    assert_eq!(note.verify(&[weak]), Err(NoteError::Weak { name: "k".to_owned() }));
}

#[test]
fn s_must_be_below_the_group_order() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (pair, public) = pair(9);
    let known = VerifyKey::new("k", public).unwrap();
    let mut bytes = signature(&pair, TEXT);
    assert!(known.verifies(TEXT.as_bytes(), &bytes));
    let mut carry = 0;
    for (digit, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*digit) + u16::from(order) + carry;
        *digit = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!known.verifies(TEXT.as_bytes(), &bytes));
}

proptest! {
    #[test]
    fn what_is_parsed_is_what_is_written(bytes in prop::collection::vec(
        prop_oneof![Just("\n"), Just("\n\n"), Just("— "), Just("name"), Just(" "), Just("AAAAAAAA"), Just("é"), Just("\r")], 0..12)) {
        let bytes = bytes.concat().into_bytes();
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let good = format!("{TEXT}\n{NEUMANN_LINE}").into_bytes();
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let keys = [key(NEUMANN)];
        let found = Note::parse(&bytes).and_then(|note| note.verify(&keys)).map(|v| v.keys);
        prop_assert!(found.unwrap_or_default().is_empty());
    }
}
