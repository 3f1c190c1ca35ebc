use proptest::prelude::*;

use super::*;

const A: &str = "1111111111111111111111111111111111111111";
const B: &str = "2222222222222222222222222222222222222222";
const Z: &str = "0000000000000000000000000000000000000000";

fn change(body: &str) -> String {
    format!("diff --git a/f b/f\nindex {A}..{B} 100644\n--- a/f\n+++ b/f\n{body}")
}

#[test]
fn what_git_writes_is_read() {
    let text = [
        change("@@ -1,2 +1,2 @@ fn main\n a\n-b\n+c\n\\ No newline at end of file\n@@ -10,0 +11 @@\n+x\n"),
        format!("diff --git a/n b/n\nnew file mode 100755\nindex {Z}..{A}\n"),
        format!(
            "diff --git a/d b/d\ndeleted file mode 120000\nindex {A}..{Z}\n--- a/d\n+++ /dev/null\n@@ -1 +0,0 @@\n-t\n\\ No newline at end of file\n"
        ),
        "diff --git \"a/s \\303\\274\" \"b/s \\303\\274\"\nold mode 100644\nnew mode 100755\n".to_owned(),
        format!("diff --git a/x y b/x y\nindex {A}..{B} 100644\n--- a/x y\t\n+++ b/x y\t\n@@ -1 +1 @@\n-1\r\n+2\r\n"),
        format!("diff --git a/b b/b\nindex {A}..{B} 100644\nGIT binary patch\nliteral 3\nKcmZQzWMT#Y01f~L\n\n"),
    ];
    assert!(Patch::parse(text[0].as_bytes()).is_ok());
    let whole = text[1..].concat();
    let patch = Patch::parse(whole.as_bytes()).unwrap();
    let names: Vec<_> = patch.files.iter().map(|f| f.path.to_string()).collect();
    assert_eq!(names, ["n", "d", "s \u{FC}", "x y", "b"]);
    assert!(patch.files[4].is_binary() && !patch.files[3].is_binary());
    assert_eq!(patch.files[0].new.unwrap().mode, 0o100_755);
    assert!(patch.files[1].new.is_none() && patch.files[1].removed == 1);
    assert_eq!(patch.files[2].old, Some(Side { mode: 0o100_644, id: None }));
    assert_eq!(patch.files[3].added_lines().collect::<Vec<_>>(), [b"2\r\n"]);
}

#[test]
fn lines_lose_their_newline_where_the_marker_says_so() {
    let text = change("@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n");
    let patch = Patch::parse(text.as_bytes()).unwrap();
    let Body::Text(hunks) = &patch.files[0].body else { panic!("no text") };
    let lines: Vec<_> = hunks[0].lines().map(|l| (l.kind, l.bytes)).collect();
    assert_eq!(lines, [(LineKind::Context, &b"a\n"[..]), (LineKind::Removed, b"b"), (LineKind::Added, b"b\n")]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let good = change("@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
    assert!(Patch::parse(good.as_bytes()).is_ok());
    for (from, to) in [
        ("diff --git a/f b/f", "diff --git a/f b/g"),
        ("diff --git a/f", "junk\ndiff --git a/f"),
        ("--- a/f", "--- a/g"),
        ("+++ b/f", "+++ /dev/null"),
        ("-1,2", "-1,3"),
        ("+1,2", "+1,1"),
        ("+1,2", "+2,2"),
        ("-1,2", "-0,2"),
        ("-1,2", "-01,2"),
        ("-1,2", "-99999999999,2"),
        (" a\n", "\n"),
        ("+c\n", "+c"),
        ("-b\n", "-b\n\\ No newline at end of file\n+x\n-y\n"),
        (" 100644", ""),
        (" 100644", " 10644"),
        (A, B),
        (A, Z),
        ("1111..", "111..."),
        ("index", "similarity index 100%\nindex"),
        ("index", "old mode 100644\nindex"),
        ("index", "new file mode 100644\nindex"),
        ("@@ -1,2 +1,2 @@\n", ""),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(Patch::parse(good.replacen(from, to, 1).as_bytes()).is_err(), "{from:?} -> {to:?}");
    }
    assert!(Patch::parse(b"").is_err());
}

#[test]
fn hunks_must_follow_each_other() {
    let hunk = |old: u32, new: u32| format!("@@ -{old} +{new} @@\n-a\n+b\n");
    assert!(Patch::parse(change(&(hunk(1, 1) + &hunk(5, 5))).as_bytes()).is_ok());
    for second in [hunk(1, 1), hunk(5, 6)] {
        assert!(Patch::parse(change(&(hunk(1, 1) + &second)).as_bytes()).is_err());
    }
}

#[test]
fn base_85_is_read_as_git_writes_it() {
    // Four bytes of 0xFF are the largest value; one more is none.
    let mut out = Vec::new();
    assert!(base85_line(b"D|NsC0", &mut out));
    assert_eq!(out, [0xFF; 4]);
    assert!(!base85_line(b"D|NsC1", &mut Vec::new()));
    assert!(!base85_line(b"D|NsC", &mut Vec::new()));
    assert!(!base85_line(b"D\"NsC0", &mut Vec::new()));
    let mut out = Vec::new();
    assert!(base85_line(b"A|NsC0", &mut out));
    assert_eq!(out, [0xFF]);
}

#[test]
fn a_patch_at_its_limit_and_one_beyond() {
    let one = "diff --git a/f b/f\nold mode 100644\nnew mode 100755\n";
    assert!(Patch::parse(one.repeat(PATCH_FILES_MAX).as_bytes()).is_ok());
    let error = Patch::parse(one.repeat(PATCH_FILES_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(error.code(), "patch-too-large");
}

proptest! {
    #[test]
    fn damage_never_panics(at in 0usize..300, byte in any::<u8>(), cut_at in 0usize..400) {
        let mut bytes = change("@@ -1,2 +1,2 @@\n a\n-b\n+c\n").into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut_at.max(1));
        if let Ok(patch) = Patch::parse(&bytes) {
            for file in &patch.files {
                prop_assert_eq!(file.added_lines().count() as u64, file.added);
            }
        }
    }
}
