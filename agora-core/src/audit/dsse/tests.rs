use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::audit::policy::PublicKey;
use crate::error::Coded as _;

const ED: &str = "example.com/agora/attest";
const P256: &str = "example.com/agora/attest-p256";

/// The example of the DSSE protocol, "Test Vectors".
const TYPE: &str = "http://example.com/HelloWorld";
const BODY: &[u8] = b"hello world";

struct Pairs {
    ed: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    keys: Vec<AttestKey>,
}

fn pairs(seed: u8) -> Pairs {
    let ed = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
    let keys = vec![
        AttestKey { name: ED.to_owned(), key: PublicKey::Ed25519(ed.public_key().as_ref().try_into().unwrap()) },
        AttestKey { name: P256.to_owned(), key: PublicKey::P256(p256.public_key().as_ref().try_into().unwrap()) },
    ];
    Pairs { ed, p256, keys }
}

impl Pairs {
    fn ed(&self, envelope: &Envelope) -> Vec<u8> {
        self.ed.sign(&envelope.signed_bytes()).as_ref().to_vec()
    }

    fn p256(&self, envelope: &Envelope) -> Vec<u8> {
        self.p256.sign(&SystemRandom::new(), &envelope.signed_bytes()).unwrap().as_ref().to_vec()
    }

    fn signed(&self) -> Envelope {
        let mut envelope = Envelope::new(br#"{"_type":"x"}"#.to_vec());
        envelope.sign(ED, self.ed(&envelope));
        envelope.sign(P256, self.p256(&envelope));
        envelope
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_signed_bytes_are_those_of_the_protocol() {
    assert_eq!(pae(TYPE, BODY), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
    // Lengths are of bytes.
    assert_eq!(pae("t", "\u{e9}".as_bytes()), "DSSEv1 1 t 2 \u{e9}".as_bytes());
}

/// The protocol writes its signature as r and s; ours are ASN.1 (RFC 3279 §2.2.3), of the same two numbers.
#[test]
fn the_signature_of_the_protocol_verifies_and_no_other() {
    let point = hex(concat!(
        "04",
        "67cd390f77aa359cb08c2235f652270493a9ed832b0abcc01f70954c0390d238",
        "0c782bd54e269125a44f4433aff1432ce94e12bca73aa67ac80cea12608ddf74"
    ));
    let raw = "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==";
    let raw = STANDARD.decode(raw).unwrap();
    // Neither number has its top bit set, and neither begins with a zero byte.
    let signature = [&[0x30, 68, 2, 32][..], &raw[..32], &[2, 32], &raw[32..]].concat();
    let key = AttestKey { name: P256.to_owned(), key: PublicKey::P256(point.try_into().unwrap()) };
    assert!(key.key.verifies(&pae(TYPE, BODY), &signature));
    assert!(!key.key.verifies(&pae(TYPE, b"hello World"), &signature));
    assert!(!key.key.verifies(&pae(TYPE, BODY), &raw));
}

#[test]
fn both_signatures_verify_and_either_half_of_them_as_it_may() {
    let pairs = pairs(1);
    let envelope = pairs.signed();
    let opened = envelope.open(&pairs.keys).unwrap();
    assert_eq!((opened.payload, opened.keys), (envelope.payload.clone(), vec![0, 1]));
    let mut ed_alone = envelope.clone();
    ed_alone.signatures.pop();
    assert_eq!(ed_alone.open(&pairs.keys).unwrap().keys, [0]);
    let mut p256_alone = envelope.clone();
    p256_alone.signatures.remove(0);
    assert_eq!(p256_alone.open(&pairs.keys), Err(DsseError::Unsigned));
    let unsigned = Envelope::new(envelope.payload);
    assert_eq!(unsigned.open(&pairs.keys), Err(DsseError::Unsigned));
}

fn refused(envelope: &Envelope, keys: &[AttestKey]) -> DsseError {
    let error = envelope.open(keys).unwrap_err();
    assert_eq!(error.code(), "statement-signature");
    error
}

#[test]
fn another_payload_or_type_is_refused() {
    let pairs = pairs(1);
    let mut other = pairs.signed();
    other.payload[3] ^= 1;
    assert_eq!(refused(&other, &pairs.keys), DsseError::Unverified { at: 0 });
    // Signed well, and a statement all the same.
    let mut typed = Envelope { payload_type: "text/plain".to_owned(), ..Envelope::new(b"{}".to_vec()) };
    typed.sign(ED, pairs.ed(&typed));
    assert_eq!(refused(&typed, &pairs.keys), DsseError::PayloadType);
    let mut renamed = pairs.signed();
    renamed.payload_type = "application/json".to_owned();
    assert_eq!(refused(&renamed, &pairs.keys), DsseError::PayloadType);
}

#[test]
fn every_signature_must_be_by_a_known_key_each_once_under_its_name() {
    let (pairs, strangers) = (pairs(1), pairs(2));
    let good = pairs.signed();
    for at in 0..2 {
        let mut changed = good.clone();
        *changed.signatures[at].sig.last_mut().unwrap() ^= 1;
        assert_eq!(refused(&changed, &pairs.keys), DsseError::Unverified { at });
        let mut cut = good.clone();
        cut.signatures[at].sig.pop();
        assert_eq!(refused(&cut, &pairs.keys), DsseError::Unverified { at });
    }
    let mut third = good.clone();
    third.sign(ED, strangers.ed(&good));
    assert_eq!(refused(&third, &pairs.keys), DsseError::Unverified { at: 2 });
    // The same one, known: nothing else is wrong with it.
    let mut known = pairs.keys.clone();
    known.push(strangers.keys[0].clone());
    assert_eq!(third.open(&known).unwrap().keys, [0, 1, 2]);
    let mut twice = good.clone();
    twice.sign(P256, pairs.p256(&good));
    assert_eq!(refused(&twice, &pairs.keys), DsseError::Twice { name: P256.to_owned() });
    let mut lies = good.clone();
    lies.signatures[1].keyid = ED.to_owned();
    assert_eq!(refused(&lies, &pairs.keys), DsseError::KeyId { at: 1, name: P256.to_owned() });
    let mut nameless = good;
    nameless.signatures[0].keyid.clear();
    assert_eq!(refused(&nameless, &pairs.keys), DsseError::KeyId { at: 0, name: ED.to_owned() });
}

/// Under the neutral element any message has the signature (R = 0's encoding, S = 0).
#[test]
fn a_weak_key_verifies_nothing() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut envelope = Envelope::new(b"{}".to_vec());
    envelope.sign(ED, [&neutral[..], &[0; 32]].concat());
    let key = AttestKey { name: ED.to_owned(), key: PublicKey::Ed25519(neutral) };
    assert_eq!(refused(&envelope, &[key]), DsseError::Unverified { at: 0 });
}

#[test]
fn an_envelope_has_one_spelling() {
    let pairs = pairs(1);
    let envelope = pairs.signed();
    let bytes = envelope.to_bytes().unwrap();
    assert_eq!(Envelope::from_bytes(&bytes).unwrap(), envelope);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with(r#"{"payload":""#) && text.contains(r#","payloadType":"application/vnd.in-toto+json","#));
    let payload = STANDARD.encode(&envelope.payload);
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        assert!(Envelope::from_bytes(changed.as_bytes()).is_err(), "{changed}");
    };
    refused("\"signatures\":", "\"other\":1,\"signatures\":");
    refused(&payload, &format!("{}*", &payload[..payload.len() - 1]));
    refused(&payload, payload.trim_end_matches('='));
    refused(&payload, &format!(" {payload}"));
    refused("{\"payload\"", "{ \"payload\"");
    // {"_type":"x"} has 13 bytes: one more than a multiple of three, so that four bits of its text are spare.
    let (head, tail) = payload.split_at(payload.len() - 3);
    assert_eq!(tail, "Q==");
    refused(&payload, &format!("{head}R=="));
}
