use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::canon::INTEGER_MAX;
use crate::error::Coded as _;
use crate::id::Hash;
use crate::limits::{POLICY_BYTES_MAX, POLICY_ROWS_MAX};

const LOG: &str = "example.com/agora";
const REGISTRY: &str = "agora/registry-admin/0123456789abcdef0123456789abcdef";

fn public(seed: u8) -> [u8; 32] {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap().public_key().as_ref().try_into().unwrap()
}

fn p256(fill: u8) -> PublicKey {
    let mut point = [fill; 65];
    point[0] = 4;
    PublicKey::P256(point)
}

fn good() -> String {
    let key = STANDARD.encode(public(1));
    let root = "ab".repeat(32);
    format!(
        "v = 1\norigin = \"{LOG}\"\n\n[[key]]\nname = \"{LOG}\"\nrole = \"log\"\nalg = \"ed25519\"\nkey = \"{key}\"\n\
         from = 3\nuntil = 9\nlast_good = 7\n\n[[anchor]]\nname = \"vault\"\nkind = \"s3-object-lock\"\n\
         account = \"1234\"\nregion = \"eu-west-1\"\nbucket = \"evidence\"\nretain_days = 400\n\n[[seen]]\nsize = 12\n\
         root = \"{root}\"\n\n[require]\nauthenticity = \"key-pinned\"\n"
    )
}

fn refused(text: &str) -> (&'static str, String, String) {
    let error = Policy::parse(text).unwrap_err();
    (error.code(), error.at().unwrap(), error.to_string())
}

#[test]
fn every_member_is_read() {
    let policy = Policy::parse(&good()).unwrap();
    assert_eq!(policy.origin, LOG);
    let key = PolicyKey {
        name: LOG.to_owned(),
        role: KeyRole::Log,
        key: PublicKey::Ed25519(public(1)),
        from: 3,
        until: Some(9),
        last_good: Some(7),
    };
    assert_eq!(policy.keys, [key]);
    assert_eq!((policy.anchors[0].bucket.as_str(), policy.anchors[0].retain_days), ("evidence", 400));
    assert_eq!(policy.seen, [Seen { size: 12, root: Hash([0xab; 32]) }]);
    assert_eq!(policy.require["authenticity"], "key-pinned");
    let bare = Policy::parse(&format!("v = 1\norigin = \"{LOG}\"\n")).unwrap();
    assert_eq!(bare, Policy { origin: LOG.to_owned(), ..Policy::default() });
}

/// Each row is the good policy with one change; the good one is read by the test before.
#[test]
fn what_is_not_known_is_refused_with_its_place() {
    let weak = STANDARD.encode([0; 32]);
    let good_key = STANDARD.encode(public(1));
    let rows: [(&str, &str, &str, &str, &str); 29] = [
        ("not TOML", "v = 1", "v = ", "line 1", "not TOML"),
        ("a member twice", "from = 3", "from = 3\nfrom = 4", "line 10", "not TOML"),
        ("no version", "v = 1", "", "line 1", "v in the policy: it is missing"),
        ("another version", "v = 1", "v = 2", "line 1", "version 2 is not known"),
        ("a version as text", "v = 1", "v = \"1\"", "line 1", "whole number"),
        ("an unknown table", "[[anchor]]", "[[anchors]]", "line 13", "did you mean anchor?"),
        ("an unknown member of the policy", "v = 1", "v = 1\nnote = 1", "line 2", "unknown member \"note\""),
        ("an unknown member of a key", "until", "til", "line 10", "did you mean until?"),
        ("an unknown member of an anchor", "region", "reign", "line 17", "did you mean region?"),
        ("an unknown member of seen", "size = 12", "size = 12\nat = 1", "line 23", "unknown member \"at\""),
        ("no origin", "example.com/agora\"\n\n", "Example.com\"\n\n", "line 2", "not the origin of a log"),
        ("another role", "\"log\"", "\"witness\"", "line 6", "the role \"witness\" is not known"),
        ("a role in another case", "\"log\"", "\"Log\"", "line 6", "the role \"Log\" is not known"),
        ("another algorithm", "ed25519", "rsa", "line 7", "the algorithm \"rsa\" is not known"),
        ("an algorithm of another role", "ed25519", "ecdsa-p256", "line 8", "65 bytes"),
        ("no base64", &good_key, "@@@@", "line 8", "not standard base64"),
        ("unpadded base64", &good_key, good_key.trim_end_matches('='), "line 8", "not standard base64"),
        ("a short key", &good_key, "AAAA", "line 8", "32 bytes"),
        ("another role's name", "\"log\"", "\"run\"", "line 5", "is named \"example.com/agora/run\""),
        ("a missing window", "from = 3", "", "line 4", "from in [[key]]: it is missing"),
        ("a window below zero", "from = 3", "from = -3", "line 9", "whole number"),
        ("a window beyond numbers", "from = 3", "from = 9007199254740992", "line 9", "whole number"),
        ("a window as text", "until = 9", "until = \"9\"", "line 10", "whole number"),
        ("a kind that is no word", "s3-object-lock", "S3 lock", "line 15", "kind in [[anchor]]"),
        ("a bucket with a space", "evidence", "my evidence", "line 18", "bucket in [[anchor]]"),
        ("a missing region", "region = \"eu-west-1\"", "", "line 13", "region in [[anchor]]: it is missing"),
        ("an upper-case root", "abab", "ABAB", "line 23", "64 lower-case hex digits"),
        ("an axis that is no word", "authenticity", "\"Key pinned\"", "line 26", "word"),
        ("a value that is no text", "\"key-pinned\"", "true", "line 26", "not a text"),
    ];
    for (what, old, new, at, says) in rows {
        let text = good().replacen(old, new, 1);
        assert_ne!(text, good(), "{what}");
        let (code, place, message) = refused(&text);
        assert_eq!((code, place.as_str()), ("policy-unreadable", at), "{what}: {message}");
        assert!(message.contains(says), "{what}: {message}");
    }
    for spelt in ["key = 1", "key = [1]", "key = [[1]]", "require = 1", "[key]\nname = \"x\""] {
        let (code, _, message) = refused(&format!("v = 1\norigin = \"{LOG}\"\n{spelt}\n"));
        assert_eq!(code, "policy-unreadable", "{spelt}: {message}");
    }
    let (code, at, _) = refused(&good().replace(&good_key, &weak));
    assert_eq!((code, at.as_str()), ("key-weak", "line 8"));
}

#[test]
fn a_name_fits_role_origin_and_algorithm() {
    let one = |name: &str, role: &str, key: &PublicKey| {
        Policy::parse(&format!(
            "v = 1\norigin = \"{LOG}\"\n[[key]]\nname = \"{name}\"\nrole = \"{role}\"\nalg = \"{}\"\nkey = \"{}\"\nfrom = 0\n",
            key.alg(),
            key.base64()
        ))
    };
    let ed25519 = PublicKey::Ed25519(public(1));
    let fits = [
        (LOG, "log", &ed25519),
        ("example.com/agora/run", "run", &ed25519),
        ("example.com/agora/attest", "attest", &ed25519),
        ("example.com/agora/attest-p256", "attest", &p256(7)),
        (REGISTRY, "registry-admin", &ed25519),
    ];
    for (name, role, key) in fits {
        assert!(one(name, role, key).is_ok(), "{name} {role}");
        for (other, other_role, other_key) in fits {
            let same = name == other && role == other_role && key == other_key;
            assert_eq!(one(name, other_role, other_key).is_ok(), name == other, "{name} {other_role}");
            assert!(same || one(name, role, other_key).is_ok() == (key == other_key), "{name} {}", other_key.alg());
        }
    }
    for name in
        ["agora/registry-admin/", "agora/registry-admin", "agora/registry-admin/a b", "agora/registry-admin/a+b"]
    {
        assert!(one(name, "registry-admin", &ed25519).is_err(), "{name}");
    }
    assert!(one("other.com/agora", "log", &ed25519).is_err());
}

#[test]
fn a_compressed_point_is_refused_and_an_uncompressed_one_is_not() {
    let point = |first: u8| STANDARD.encode([&[first][..], &[7; 64]].concat());
    assert_eq!(PublicKey::parse("ecdsa-p256", &point(4)), Ok(p256(7)));
    assert!(PublicKey::parse("ecdsa-p256", &point(2)).unwrap_err().contains("uncompressed"));
}

#[test]
fn the_limits_are_tried_at_their_bound() {
    let of = |len: usize| {
        let text = good();
        format!("{text}{}", "#".repeat(len - text.len()))
    };
    assert!(Policy::parse(&of(POLICY_BYTES_MAX)).is_ok());
    let (code, at, _) = refused(&of(POLICY_BYTES_MAX + 1));
    assert_eq!((code, at.as_str()), ("policy-unreadable", "the file"));
    let full = Policy::parse(&good()).unwrap();
    type Grow = fn(&mut Policy, usize);
    let kinds: [(&str, Grow); 3] = [
        ("key", |policy, count| policy.keys = vec![policy.keys[0].clone(); count]),
        ("anchor", |policy, count| policy.anchors = vec![policy.anchors[0].clone(); count]),
        ("seen", |policy, count| policy.seen = vec![policy.seen[0]; count]),
    ];
    for (kind, grow) in kinds {
        let mut policy = full.clone();
        grow(&mut policy, POLICY_ROWS_MAX);
        assert_eq!(Policy::parse(&policy.to_toml()), Ok(policy.clone()), "{kind}");
        grow(&mut policy, POLICY_ROWS_MAX + 1);
        let (code, _, message) = refused(&policy.to_toml());
        assert_eq!(code, "policy-unreadable");
        assert!(message.contains("1001 rows"), "{kind}: {message}");
    }
}

#[test]
fn a_key_speaks_in_its_window() {
    let mut key = Policy::parse(&good()).unwrap().keys.remove(0);
    let codes = |key: &PolicyKey| -> Vec<_> {
        [2, 3, 7, 8, 9].map(|index| key.speaks_at(index).map_err(|error| error.code())).to_vec()
    };
    let (window, revoked) = (Err("key-window"), Err("key-revoked"));
    assert_eq!(codes(&key), [window, Ok(()), Ok(()), revoked, window]);
    key.last_good = None;
    assert_eq!(codes(&key), [window, Ok(()), Ok(()), Ok(()), window]);
    (key.until, key.last_good) = (None, Some(7));
    assert_eq!(codes(&key), [window, Ok(()), Ok(()), revoked, revoked]);
    key.last_good = None;
    assert_eq!(codes(&key), [window, Ok(()), Ok(()), Ok(()), Ok(())]);
}

#[test]
fn a_rotation_says_six_lines() {
    assert_eq!(
        rotation_text(LOG, KeyRole::RegistryAdmin, 12, "b2xk", "bmV3"),
        "agora/key-rotation/v1\nexample.com/agora\nregistry-admin\n12\nb2xk\nbmV3\n"
    );
}

#[test]
fn an_id_is_that_of_notes() {
    // RFC 8032 §7.1, test 1, under the name of `docs/audit.md`'s example.
    let key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    assert_eq!(PublicKey::parse("ed25519", key).unwrap().id_hex(LOG), "68ffe07c");
}

fn policies() -> impl Strategy<Value = Policy> {
    let number = 0..=INTEGER_MAX;
    let window = (number.clone(), proptest::option::of(number.clone()), proptest::option::of(number.clone()));
    let key = (0..5_usize, any::<u8>(), window).prop_map(|(role, seed, (from, until, last_good))| {
        let (name, role, key) = match role {
            0 => (LOG, KeyRole::Log, PublicKey::Ed25519(public(seed))),
            1 => ("example.com/agora/run", KeyRole::Run, PublicKey::Ed25519(public(seed))),
            2 => ("example.com/agora/attest", KeyRole::Attest, PublicKey::Ed25519(public(seed))),
            3 => ("example.com/agora/attest-p256", KeyRole::Attest, p256(seed)),
            _ => (REGISTRY, KeyRole::RegistryAdmin, PublicKey::Ed25519(public(seed))),
        };
        PolicyKey { name: name.to_owned(), role, key, from, until, last_good }
    });
    let name = "[!-~]{1,12}";
    let anchor = (name, "[a-z][a-z0-9_-]{0,9}", name, name, name, number.clone()).prop_map(
        |(name, kind, account, region, bucket, retain_days)| PolicyAnchor {
            name,
            kind,
            account,
            region,
            bucket,
            retain_days,
        },
    );
    let seen = (number, any::<[u8; 32]>()).prop_map(|(size, root)| Seen { size, root: Hash(root) });
    let word = "[a-z][a-z0-9_-]{0,9}";
    (
        proptest::collection::vec(key, 0..5),
        proptest::collection::vec(anchor, 0..4),
        proptest::collection::vec(seen, 0..4),
        proptest::collection::btree_map(word, word, 0..4),
    )
        .prop_map(|(keys, anchors, seen, require)| Policy { origin: LOG.to_owned(), keys, anchors, seen, require })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(policy in policies()) {
        prop_assert_eq!(Policy::parse(&policy.to_toml()), Ok(policy));
    }

    #[test]
    fn no_text_is_too_strange_to_answer(text in "\\PC{0,200}") {
        drop(Policy::parse(&text));
    }
}
