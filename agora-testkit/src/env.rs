//! A hermetic place to start the real binaries from: an own home, an empty environment, a deadline.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

/// How long a binary may run, unless the test says other.
const DEADLINE: Duration = Duration::from_secs(60);
/// Programs of the system, and nothing of the developer's.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What a binary did.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Says that it ended well, or shows what it said, and returns its standard output.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Says that it ended with this code, or shows what it said, and returns its standard error.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stderr
    }
}

/// The place. All of it is removed when it is dropped.
#[derive(Debug)]
pub struct TestEnv {
    root: tempfile::TempDir,
    vars: BTreeMap<String, String>,
    deadline: Duration,
}

impl TestEnv {
    /// Makes an empty one: `home` for `AGORA_HOME`, `user` for `HOME`, `tmp`, and `work`, where binaries start.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes folders, which a default should not")]
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["user", "tmp", "work"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        let folder = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
        // Fixed width and language, so that what people read can be compared.
        let vars = [
            ("AGORA_HOME", folder("home")),
            ("HOME", folder("user")),
            ("TMPDIR", folder("tmp")),
            ("PATH", PATH.to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("COLUMNS", "100".to_owned()),
            ("NO_COLOR", "1".to_owned()),
        ];
        let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { root, vars, deadline: DEADLINE }
    }

    /// Sets a variable for every binary from now on.
    #[must_use]
    pub fn with_var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives every binary this long from now on, instead of 60 seconds.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// `AGORA_HOME`. It is not there until somebody makes it.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Where binaries start.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// The folder around all of it.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A binary of the workspace as a command of this place.
    ///
    /// # Panics
    /// When the binary is not there and cannot be built.
    #[must_use]
    pub fn command(&self, bin: &str) -> Command {
        self.program(binary(bin))
    }

    /// Any program as a command of this place.
    #[must_use]
    pub fn program(&self, path: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(path);
        command.env_clear().envs(&self.vars).current_dir(self.work());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a binary of the workspace.
    ///
    /// # Panics
    /// When it cannot be started, or does not end in time.
    pub fn run<S: AsRef<OsStr>>(&self, bin: &str, args: impl IntoIterator<Item = S>) -> Output {
        self.run_with(bin, args, b"")
    }

    /// Runs a binary of the workspace with these bytes on its standard input.
    ///
    /// # Panics
    /// As [`TestEnv::run`].
    pub fn run_with<S: AsRef<OsStr>>(&self, bin: &str, args: impl IntoIterator<Item = S>, stdin: &[u8]) -> Output {
        let mut command = self.command(bin);
        command.args(args).stdin(Stdio::piped());
        self.finish(command.spawn().unwrap(), stdin)
    }

    /// Writes the input of a started binary and waits for its end.
    ///
    /// # Panics
    /// When it does not end in time; it is killed then.
    pub fn finish(&self, mut child: Child, stdin: &[u8]) -> Output {
        let (mut input, bytes) = (child.stdin.take(), stdin.to_vec());
        // One that ends without reading is no failure of the test's.
        std::thread::spawn(move || input.as_mut().map(|input| input.write_all(&bytes)));
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let (Ok(stdout), Ok(stderr)) = (stdout.recv_timeout(self.deadline), stderr.recv_timeout(self.deadline)) else {
            child.kill().unwrap();
            panic!("it does not end within {} s: {:?}", self.deadline.as_secs(), child.wait());
        };
        let status = child.wait().unwrap();
        Output { code: status.code(), stdout, stderr }
    }
}

fn collect(stream: Option<impl std::io::Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stream.map(|mut stream| stream.read_to_end(&mut bytes));
        // Nobody waits for it any more: past its deadline.
        drop((read, send.send(String::from_utf8_lossy(&bytes).into_owned())));
    });
    receive
}

/// Finds a binary of the workspace beside the test's own executable. Where it is missing, as when only one package is
/// tested, it is built, once. One that is there is used as it is.
///
/// # Panics
/// When it is not there and cannot be built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let folder = binary_folder();
    let path = folder.join(name);
    let turn = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !path.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", name, "--bin", name]);
        build.arg("--target-dir").arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "{name} cannot be built");
    }
    drop(turn);
    assert!(path.exists(), "{} is not there", path.display());
    path
}

/// The folder with the binaries of the workspace: above that of the tests.
///
/// # Panics
/// When the test's own executable cannot be found.
#[must_use]
pub fn binary_folder() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    folder
}
