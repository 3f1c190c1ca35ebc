use super::*;

#[derive(Default)]
struct Case {
    start: Tree,
    result: Tree,
    bytes: BTreeMap<Digest, Vec<u8>>,
    patch: String,
}

const A: &str = "1111111111111111111111111111111111111111";
const Z: &str = "0000000000000000000000000000000000000000";

impl Case {
    fn put(&mut self, base: bool, path: &str, mode: Mode, content: &str) {
        let node = Node { mode, digest: Digest::of(content.as_bytes()), size_bytes: content.len() as u64 };
        self.bytes.insert(node.digest, content.as_bytes().to_vec());
        self.result.files.insert(path.into(), node);
        if base {
            self.start.files.insert(path.into(), node);
        }
    }

    fn base(mut self, path: &str, mode: Mode, content: &str) -> Self {
        self.put(true, path, mode, content);
        self
    }

    fn add(mut self, path: &str, mode: Mode, content: &str) -> Self {
        self.put(false, path, mode, content);
        self.entry(path, mode.git(), content)
    }

    fn entry(mut self, path: &str, mode: u32, content: &str) -> Self {
        let name =
            |prefix: &str| String::from_utf8(super::super::quote(format!("{prefix}/{path}").as_bytes())).unwrap();
        self.patch += &format!("diff --git {} {}\nnew file mode {mode:06o}\nindex {Z}..{A}\n", name("a"), name("b"));
        let lines: Vec<&str> = content.split_inclusive('\n').collect();
        if !lines.is_empty() {
            self.patch += &format!("--- /dev/null\n+++ {}\n@@ -0,0 +1,{} @@\n", name("b"), lines.len());
        }
        for line in lines {
            self.patch += &format!("+{line}");
            if !line.ends_with('\n') {
                self.patch += "\n\\ No newline at end of file\n";
            }
        }
        self
    }

    fn judge_with(&self, limits: PatchLimits, secret: Option<&FindSecret<'_>>) -> Verdict {
        let patch = Patch::parse(self.patch.as_bytes()).unwrap();
        let content = |digest: &Digest| self.bytes.get(digest).cloned();
        policy(&patch, &Context { start: &self.start, result: &self.result, content: &content, limits, secret })
    }

    fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> =
            self.judge_with(PatchLimits::default(), None).refused.iter().map(|refused| refused.code).collect();
        codes.dedup();
        codes
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.judge_with(PatchLimits::default(), None).flags.into_keys().collect()
    }
}

fn new() -> Case {
    Case::default()
}

#[test]
fn refusals_and_their_accepted_twins() {
    let link = |target: &str| new().base("d/x", Mode::File, "x").add("l", Mode::Link, target);
    let cases: Vec<(&str, Case, Case)> = vec![
        ("path-refused", new().add(".git/config", Mode::File, "x\n"), new().add(".github.md", Mode::File, "x\n")),
        ("path-refused", new().add("a/../../x", Mode::File, "x\n"), new().add("a/x", Mode::File, "x\n")),
        ("path-refused", new().add("a\rb", Mode::File, "x\n"), new().add("a b", Mode::File, "x\n")),
        ("path-refused", new().add(".agora/x", Mode::File, "x\n"), new().add("inputs/x", Mode::File, "x\n")),
        ("path-refused", new().base("f", Mode::File, "1").add("f/g", Mode::File, ""), new().add("f/g", Mode::File, "")),
        ("path-refused", new().base("f/g", Mode::File, "1").add("f", Mode::File, ""), new().add("f", Mode::File, "")),
        ("patch-gitlink", new().add("sub", Mode::Gitlink, "x\n"), new().add("sub", Mode::File, "x\n")),
        ("patch-mode", new().entry("f", 0o100_664, "x\n"), new().entry("f", 0o100_644, "x\n")),
        ("patch-link-target", link("/etc/passwd"), link("d/x")),
        ("patch-link-target", link("../x"), link("./x")),
        (
            "patch-beyond-link",
            new().base("l", Mode::Link, "d").add("l/x", Mode::File, ""),
            new().add("l/x", Mode::File, ""),
        ),
        (
            "patch-path-twice",
            new().add("a", Mode::File, "").add("a", Mode::File, ""),
            new().add("a", Mode::File, "").add("b", Mode::File, ""),
        ),
    ];
    for (code, refused, accepted) in cases {
        assert_eq!(refused.codes(), [code], "{}", refused.patch);
        assert_eq!(accepted.codes(), [""; 0], "{}", accepted.patch);
    }
}

#[test]
fn a_link_of_the_base_is_judged_again_when_its_way_changes() {
    // `far` stays inside as long as `d` is a folder two levels deep in name; a link in its place turns it.
    let harmless = new().base("p/q/far", Mode::Link, "d/../../z").add("p/q/e", Mode::Link, "x");
    assert_eq!(harmless.codes(), [""; 0]);
    let turned = new().base("p/q/far", Mode::Link, "d/../../z").add("p/q/d", Mode::Link, "../../r");
    assert_eq!(turned.codes(), ["patch-link-target"]);
    let old = new().base("out", Mode::Link, "/usr/bin").add("l", Mode::Link, "x");
    assert_eq!(old.codes(), [""; 0], "what the base already had is not the patch's fault");
}

#[test]
fn limits_at_their_boundary_and_one_beyond() {
    let case = new().add("a", Mode::File, "").add("b", Mode::File, "");
    let size = case.patch.len() as u64;
    let judge = |bytes_max, files_max| case.judge_with(PatchLimits { bytes_max, files_max }, None).is_refused();
    assert!(!judge(size, 2));
    assert!(judge(size - 1, 2));
    assert!(judge(size, 1));
}

#[test]
fn flags_and_their_unflagged_twins() {
    let file = |path: &str, text: &str| new().add(path, Mode::File, text);
    for (kind, flagged, plain) in [
        ("exec-bit", new().add("run", Mode::Exec, "x\n"), file("run", "x\n")),
        (
            "credential",
            file("a", concat!("key = AK", "IAIOSFODNN7EXAMPLQ\n")),
            file("a", "key = from the environment\n"),
        ),
        ("symlink", new().add("l", Mode::Link, "x"), file("l", "x")),
        ("bidi-text", file("a", "\u{202E}x\n"), file("a", "x\u{E9}\n")),
        ("bidi-name", file("a\u{200B}b", ""), file("a-b", "")),
        ("case-collision", new().base("README", Mode::File, "1").add("readme", Mode::File, ""), file("readme", "")),
        ("case-collision", new().base("Src/a", Mode::File, "1").add("src/b", Mode::File, ""), file("src/b", "")),
        ("agent-settings", file(".claude/settings.json", ""), file("notes/settings.json", "")),
    ] {
        assert_eq!(flagged.kinds(), [kind]);
        assert_eq!(plain.kinds(), [""; 0]);
    }
}

#[test]
fn a_repository_without_git_in_its_name_is_flagged() {
    let with = |names: &[&str]| names.iter().fold(new(), |case, name| case.add(name, Mode::File, "x\n"));
    for names in [
        &["HEAD", "objects/x", "refs/x"][..],
        &["d/e/HEAD", "d/e/objects/x", "d/e/refs/heads/x"],
        &["d/head", "D/Objects/x", "d/REFS/x"],
        &["d/HEAD", "d/commondir"],
    ] {
        let case = with(names);
        let flags = case.judge_with(PatchLimits::default(), None).flags;
        let flagged: Vec<_> = flags["git-config"].iter().map(Enc::as_str).collect();
        let mut expected = names.to_vec();
        expected.sort_unstable();
        assert_eq!(flagged, expected);
    }
    for names in [&["d/HEAD", "d/objects/x"][..], &["d/objects/x", "d/refs/x"], &["d/HEAD", "e/objects/x", "f/refs/x"]]
    {
        assert_eq!(with(names).kinds(), [""; 0], "{names:?}");
    }
}

#[test]
fn a_repository_of_the_base_is_flagged_where_the_patch_meets_it() {
    let base = || {
        ["HEAD", "objects/x", "refs/x"]
            .iter()
            .fold(new(), |case, name| case.base(&format!("fixture/{name}"), Mode::File, "x\n"))
    };
    assert_eq!(base().add("fixture/hooks/post-checkout", Mode::File, "x\n").kinds(), ["git-config"]);
    assert_eq!(base().add("hooks/post-checkout", Mode::File, "x\n").kinds(), [""; 0]);
    let half = new().base("d/HEAD", Mode::File, "x\n").base("d/objects/x", Mode::File, "x\n");
    assert_eq!(half.add("d/refs", Mode::Link, "objects").kinds(), ["git-config", "symlink"]);
}

#[test]
fn a_configuration_of_git_is_flagged_before_its_repository_is_there() {
    let config = |text: &str| new().add("d/config", Mode::File, text).kinds();
    assert_eq!(config("[core]\n\tfsmonitor = ./run\n"), ["git-config"]);
    assert_eq!(config("[build]\njobs = 1\n"), [""; 0]);
}

#[test]
fn a_secret_of_the_attempt_is_refused_in_content_and_name() {
    let secret: &FindSecret<'_> = &|bytes| bytes.windows(6).any(|w| w == b"hunter");
    let judge = |path: &str, text: &str| {
        let verdict = new().add(path, Mode::File, text).judge_with(PatchLimits::default(), Some(secret));
        verdict.refused.into_iter().map(|refused| refused.code).collect::<Vec<_>>()
    };
    assert_eq!(judge("a", "x hunter2\n"), ["secret-in-patch"]);
    assert_eq!(judge("hunter", "x\n"), ["secret-in-patch"]);
    assert_eq!(judge("a", "x gatherer\n"), [""; 0]);
}
