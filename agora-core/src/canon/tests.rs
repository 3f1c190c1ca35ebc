use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::*;
use crate::error::Coded;

const ANY: usize = usize::MAX;

#[track_caller]
fn strict(value: &Value) -> String {
    String::from_utf8(to_bytes(value).unwrap()).unwrap()
}

#[test]
fn the_example_of_rfc_8785_3_2_3_is_sorted_by_utf_16() {
    let value = json!({
        "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis",
    });
    let want = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
                \"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\"\u{20ac}\":\"Euro Sign\",\
                \"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
    assert_eq!(strict(&value), want);
    assert_eq!(from_bytes::<Value>(want.as_bytes()).unwrap(), value);
}

#[test]
fn the_string_of_rfc_8785_3_2_2_is_escaped_as_there() {
    let bytes = to_bytes_with_floats(&json!({
        "numbers": [333_333_333.333_333_3, 1E30, 4.50, 2e-3, 0.000_000_000_000_000_000_000_000_001],
        "string": "\u{20ac}$\u{f}\nA'B\"\\\\\"/",
        "literals": [null, true, false],
    }))
    .unwrap();
    let want = "{\"literals\":[null,true,false],\
                \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
                \"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(String::from_utf8(bytes).unwrap(), want);
}

#[test]
fn numbers_at_their_boundary_and_one_beyond() {
    for (name, value, ok_strict, ok_floats, ok_entry) in [
        ("zero", json!(0), true, true, true),
        ("greatest", json!(9_007_199_254_740_991_u64), true, true, true),
        ("one beyond", json!(9_007_199_254_740_992_u64), false, false, false),
        ("u64", json!(u64::MAX), false, false, false),
        ("least", json!(-9_007_199_254_740_991_i64), true, true, false),
        ("one below", json!(-9_007_199_254_740_992_i64), false, false, false),
        ("i64", json!(i64::MIN), false, false, false),
        ("double", json!(0.5), false, true, false),
        ("double spelled like a great integer", json!(1e20), false, false, false),
        ("great double", json!(1e21), false, true, false),
    ] {
        let doc = json!({"n": [value]});
        assert_eq!(to_bytes(&doc).is_ok(), ok_strict, "{name} strict");
        assert_eq!(to_bytes_with_floats(&doc).is_ok(), ok_floats, "{name} floats");
        assert_eq!(entry_bytes(&doc, 8).is_ok(), ok_entry, "{name} entry");
        for error in [to_bytes(&doc).err(), entry_bytes(&doc, 8).err()].into_iter().flatten() {
            assert_eq!((error.code(), error.at().as_deref()), ("json-number", Some("/n/0")), "{name}");
        }
    }
    assert!(to_bytes_with_floats(&f64::NAN).is_err());
    assert!(to_bytes_with_floats(&f64::INFINITY).is_err());
    assert_eq!(to_bytes_with_floats(&-0.0).unwrap(), b"0");
    assert!(to_bytes(&u128::MAX).is_err());
    assert!(to_bytes(&i128::MIN).is_err());
    assert_eq!(to_bytes(&-5_i128).unwrap(), b"-5");
}

/// What every canonical reader refuses, with its code; the second column is the accepted twin.
#[test]
fn other_spellings_are_refused() {
    for (bad, good, code) in [
        (r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#, "json-spelling"),
        (r#"{"a":1,"a":1}"#, r#"{"a":1,"b":1}"#, "json-duplicate"),
        (r#"{"a": 1}"#, r#"{"a":1}"#, "json-spelling"),
        (" 1", "1", "json-spelling"),
        ("1\n", "1", "json-spelling"),
        ("1 2", "12", "json-spelling"),
        ("12x", "12", "json-syntax"),
        ("-0", "0", "json-spelling"),
        ("01", "1", "json-syntax"),
        ("1e2", "100", "json-number"),
        ("100.0", "100", "json-number"),
        ("9007199254740993", "9007199254740991", "json-number"),
        ("99999999999999999999", "9007199254740991", "json-number"),
        (r#""\/""#, r#""/""#, "json-spelling"),
        (r#""\u0041""#, r#""A""#, "json-spelling"),
        (r#""\u000A""#, r#""\n""#, "json-spelling"),
        (r#""\u000F""#, r#""\u000f""#, "json-spelling"),
        (r#""\u0022""#, r#""\"""#, "json-spelling"),
        (r#""\ud83d\ude00""#, "\"\u{1f600}\"", "json-spelling"),
        (r#""\ud83d""#, "\"\u{1f600}\"", "json-unicode"),
        ("\"\t\"", r#""\t""#, "json-syntax"),
        ("\u{feff}1", "1", "json-syntax"),
        ("nul", "null", "json-syntax"),
        ("", "\"\"", "json-syntax"),
    ] {
        assert_eq!(from_bytes::<Value>(bad.as_bytes()).unwrap_err().code(), code, "{bad}");
        let value: Value = from_bytes(good.as_bytes()).unwrap_or_else(|e| panic!("{good}: {e}"));
        assert_eq!(to_bytes(&value).unwrap(), good.as_bytes());
    }
    assert_eq!(from_bytes::<Value>(b"\"\xff\"").unwrap_err(), CanonError::Unicode { at: 1 });
}

#[test]
fn doubles_have_one_spelling() {
    for (bad, good) in [
        ("1.0", "1"),
        ("1e2", "100"),
        ("0.50", "0.5"),
        ("1E+21", "1e+21"),
        ("1e21", "1e+21"),
        ("0.0000001", "1e-7"),
        ("-0.0", "0"),
        ("100000000000000000000", "1e+21"),
        ("1e400", "1.7976931348623157e+308"),
    ] {
        assert!(from_bytes_with_floats::<Value>(bad.as_bytes()).is_err(), "{bad}");
        let value: f64 = from_bytes_with_floats(good.as_bytes()).unwrap_or_else(|e| panic!("{good}: {e}"));
        assert_eq!(to_bytes_with_floats(&value).unwrap(), good.as_bytes());
    }
}

#[test]
fn entries_are_the_subset() {
    for (bad, good, code) in [
        (r#"{"a":null}"#, "{}", "json-value"),
        (r#"{"a":-1}"#, r#"{"a":1}"#, "json-number"),
        (r#"{"a":-0}"#, r#"{"a":0}"#, "json-number"),
        (r#"{"a":1.5}"#, r#"{"a":15}"#, "json-number"),
        ("{\"a\":\"é\"}", r#"{"a":"%C3%A9"}"#, "json-spelling"),
        (r#"{"a":"\n"}"#, r#"{"a":"\\n\""}"#, "json-spelling"),
        (r#"{"a":"\u005c"}"#, r#"{"a":"\\"}"#, "json-spelling"),
        ("{}\n", "{}", "json-spelling"),
        ("{} ", "{}", "json-spelling"),
        ("{}{}", "{}", "json-syntax"),
        ("[]", "{}", "json-syntax"),
        ("1", "{}", "json-syntax"),
        (r#"{"b":1,"a":1}"#, r#"{"B":1,"a":1}"#, "json-spelling"),
        (r#"{"a":1,"a":1}"#, r#"{"a":1}"#, "json-duplicate"),
        (r#"{"a":[[]]}"#, r#"{"a":[]}"#, "json-depth"),
        (r#"{"a":"1234567890"}"#, r#"{"a":"123456789"}"#, "json-size"),
        ("{\"a\":\"\u{7f}\"}", r#"{"a":"~ "}"#, "json-spelling"),
    ] {
        assert_eq!(entry_value(bad.as_bytes(), 2, 17).unwrap_err().code(), code, "{bad}");
        let value = entry_value(good.as_bytes(), 2, 17).unwrap_or_else(|e| panic!("{good}: {e}"));
        assert_eq!(entry_bytes(&value, 2).unwrap(), good.as_bytes());
    }
    for bad in [json!({"a": null}), json!({"a": "é"}), json!({"é": 1}), json!([1]), json!({"a": [[]]})] {
        assert!(entry_bytes(&bad, 2).is_err(), "{bad}");
    }
}

#[test]
fn ordinary_json_is_read_and_what_is_ambiguous_refused() {
    let text = "\n{ \"b\" : [ 1 , -2.5e3 , \"\\ud83d\\ude00\\/\" ] ,\r\n\t\"a\" : { } }\n";
    let want = json!({"a": {}, "b": [1, -2500.0, "\u{1f600}/"]});
    assert_eq!(parse(text.as_bytes(), 3, 1000).unwrap(), want);
    for (bad, want) in [
        (r#"{"x":[{"a/b":1,"a~":2,"a/b":3}]}"#, CanonError::Duplicate { pointer: "/x/0/a~1b".to_owned() }),
        (r#"{"A":1,"\u0041":2}"#, CanonError::Duplicate { pointer: "/A".to_owned() }),
        (r#"["\ud800"]"#, CanonError::Unicode { at: 2 }),
        (r#"["\ude00\ud83d"]"#, CanonError::Unicode { at: 2 }),
        (r#"["\ud800\u0041"]"#, CanonError::Unicode { at: 2 }),
        ("{} {}", CanonError::Trailing { at: 3 }),
        ("[[[[1]]]]", CanonError::Depth { at: 3, max: 3 }),
        ("[1,]", CanonError::Syntax { at: 3, expected: "a value" }),
        ("[1e999]", CanonError::Number { pointer: "/0".to_owned(), what: "beyond what a double holds" }),
    ] {
        assert_eq!(parse(bad.as_bytes(), 3, 1000).unwrap_err(), want, "{bad}");
    }
    for bad in
        ["{a:1}", "{\"a\"}", "[1 2]", "{\"a\":1,}", "+1", ".5", "1.", "1e", "'a'", "\"a", "\"\\x\"", "\"\\u12\"", "//"]
    {
        assert_eq!(parse(bad.as_bytes(), 3, 1000).unwrap_err().code(), "json-syntax", "{bad}");
    }
    assert_eq!(parse(b"[1,2]", 3, 4).unwrap_err(), CanonError::Size { bytes: 5, max: 4 });
    assert!(parse(b"[1,2]", 3, 5).is_ok());
    assert_eq!(
        parse(b"[18446744073709551615,-9223372036854775808,-0]", 3, 100).unwrap(),
        json!([u64::MAX, i64::MIN, 0])
    );
}

#[test]
fn a_million_levels_cost_one_error() {
    let deep = "[".repeat(1_000_000);
    for result in [parse(deep.as_bytes(), ANY, ANY), from_bytes(deep.as_bytes())] {
        assert_eq!(result.unwrap_err(), CanonError::Depth { at: DEPTH_MAX, max: DEPTH_MAX });
    }
    let bracket = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let value: Value = from_bytes(bracket(DEPTH_MAX).as_bytes()).unwrap();
    assert_eq!(to_bytes(&value).unwrap(), bracket(DEPTH_MAX).as_bytes());
    assert_eq!(to_bytes(&[value]).unwrap_err().code(), "json-depth");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    New(u8),
    Pair(u8, u8),
    Named { z: u8, a: u8 },
}

/// Behind a name of its own, since what derives write out of a field is not under the field's attributes.
#[expect(clippy::disallowed_types, reason = "the writer is to order what comes without an order")]
type Unordered = std::collections::HashMap<String, bool>;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    z: Option<char>,
    kinds: Vec<Kind>,
    by_number: BTreeMap<u32, String>,
    by_name: Unordered,
    bytes: (u8, [i8; 2]),
}

fn shape() -> Shape {
    Shape {
        z: Some('é'),
        kinds: vec![Kind::Unit, Kind::New(1), Kind::Pair(1, 2), Kind::Named { z: 1, a: 2 }],
        by_number: [(9, "nine".to_owned()), (10, "ten".to_owned())].into(),
        by_name: (b'a'..=b'e').map(|c| (char::from(c).to_string(), true)).collect(),
        bytes: (1, [-1, 2]),
    }
}

#[test]
fn a_type_is_written_in_order_and_read_back() {
    let want = r#"{"by_name":{"a":true,"b":true,"c":true,"d":true,"e":true},"by_number":{"10":"ten","9":"nine"},"bytes":[1,[-1,2]],"kinds":["Unit",{"New":1},{"Pair":[1,2]},{"Named":{"a":2,"z":1}}],"z":"é"}"#;
    assert_eq!(String::from_utf8(to_bytes(&shape()).unwrap()).unwrap(), want);
    assert_eq!(from_bytes::<Shape>(want.as_bytes()).unwrap(), shape());
    let unknown = want.replacen(r#"{"by_name""#, r#"{"a":1,"by_name""#, 1);
    assert_eq!(from_bytes::<Shape>(unknown.as_bytes()).unwrap_err().code(), "json-shape");
}

#[test]
fn what_cannot_be_written_says_where() {
    #[derive(Serialize)]
    struct Twice {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    let twice = |name: &str| Twice { a: 1, rest: [("b".to_owned(), 2), (name.to_owned(), 3)].into() };
    assert!(to_bytes(&[twice("c")]).is_ok());
    assert_eq!(to_bytes(&[twice("a")]).unwrap_err(), CanonError::Duplicate { pointer: "/0/a".to_owned() });
    let keyed = |v: Vec<u8>| BTreeMap::from([(v, 1)]);
    assert_eq!(to_bytes(&keyed(vec![1])).unwrap_err().class(), crate::error::Class::Bug);
    assert_eq!(to_bytes(&Kind::Pair(1, 2)).unwrap(), b"{\"Pair\":[1,2]}");
    let deep = entry_bytes(&json!({"a": [{"b": "\n"}]}), 8).unwrap_err();
    assert_eq!(deep.at().as_deref(), Some("/a/0/b"));
}

fn any_value(number: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        any::<String>().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn integer() -> impl Strategy<Value = Value> + Clone {
    (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from)
}

fn double() -> impl Strategy<Value = Value> + Clone {
    any::<f64>().prop_filter_map("finite", |f| (f.abs() < 1e15 || f.abs() > 1e21).then(|| Value::from(f)))
}

proptest! {
    #[test]
    fn strict_agrees_with_the_reference_and_round_trips(value in any_value(integer())) {
        let bytes = to_bytes(&value).unwrap();
        prop_assert_eq!(&bytes, &serde_json_canonicalizer::to_vec(&value).unwrap());
        prop_assert_eq!(&from_bytes::<Value>(&bytes).unwrap(), &value);
        prop_assert_eq!(parse(&bytes, ANY, ANY).unwrap(), value);
    }

    #[test]
    fn floats_agree_with_the_reference_and_are_read_back(value in any_value(double())) {
        let bytes = to_bytes_with_floats(&value).unwrap();
        prop_assert_eq!(&bytes, &serde_json_canonicalizer::to_vec(&value).unwrap());
        let back: Value = from_bytes_with_floats(&bytes).unwrap();
        prop_assert_eq!(to_bytes_with_floats(&back).unwrap(), bytes);
    }

    /// A reader accepts exactly what its writer writes, whatever is done to a byte.
    #[test]
    fn what_is_accepted_is_what_would_be_written(
        value in any_value(integer()), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = to_bytes(&json!({"a": value})).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(value) = from_bytes::<Value>(&bytes) {
            prop_assert_eq!(&to_bytes(&value).unwrap(), &bytes);
        }
        if let Ok(value) = entry_value(&bytes, DEPTH_MAX, ANY) {
            prop_assert_eq!(&entry_bytes(&value, DEPTH_MAX).unwrap(), &bytes);
        }
        if let Ok(value) = parse(&bytes, DEPTH_MAX, ANY) {
            prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\u0dtrue-1.e".to_vec())], 0..60)) {
        let read = [
            parse(&bytes, ANY, ANY),
            from_bytes(&bytes),
            from_bytes_with_floats(&bytes),
            entry_value(&bytes, ANY, ANY),
        ];
        for value in read.into_iter().flatten() {
            prop_assert!(to_bytes_with_floats(&value).is_ok() || to_bytes(&value).is_err());
        }
    }
}
