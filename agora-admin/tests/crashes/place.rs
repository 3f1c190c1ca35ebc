//! A home with agents whose end a test decides, and what must hold of it in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use agora_testkit::env::{Output, TestEnv, binary};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::program::{DEADLINE, Program, gone, parent};

/// It says that it starts, waits at its gate if it has one, and leaves a file. A gate is a file that the test locks.
const WORKER: &str = r#"
runtime = "command"
argv = ["sh", "-c", '''
set -eu
read -r gate
echo "$AGORA_RUN $AGORA_ITEM $AGORA_ATTEMPT" >> ROOT/started
[ -z "$gate" ] || flock --shared "ROOT/gates/$gate" true
find . -type f -not -path './.git/*' -exec sha256sum {} + | sort > "$AGORA_ITEM.sums"
''']
targets = ["*"]
template = "{{ gate }}\n"
"#;

/// It asks, and leaves what it is told.
const ASKER: &str = r#"
runtime = "command"
argv = ["sh", "-c", '''
set -eu
echo "$AGORA_RUN $AGORA_ITEM $AGORA_ATTEMPT" >> ROOT/started
case $(cat) in
*blue*) echo blue > colour.txt ;;
*) mkdir -p .agora; printf '{"question": "which colour?"}' > .agora/needs_input.json ;;
esac''']
targets = ["*"]
template = "paint it{% if agora.answer %}: {{ agora.answer }}{% endif %}"
"#;

/// How often processes are looked for that a failed test left.
const ROUNDS: usize = 20;

pub(crate) struct Place {
    pub(crate) env: TestEnv,
}

/// A gate that is shut as long as this lives.
pub(crate) struct Gate {
    _file: File,
}

impl Place {
    /// A home without a detached driver, unless `linger` is on, and a small repository where programs start.
    pub(crate) fn new(linger: bool) -> Self {
        for program in ["agora-worker", "agora-jail", "agora-mcp"] {
            let _built = binary(program);
        }
        let place = Self { env: TestEnv::new().with_deadline(3 * DEADLINE) };
        let _made = place.admin(&["init"]).ok();
        let config = format!(
            "[targets.local]\nprovider = \"process\"\nprofiles = [\"none\"]\n[queues.default]\nconcurrency = 12\n[engine]\nlinger = {linger}\n"
        );
        std::fs::write(place.env.home().join("agora.toml"), config).unwrap();
        std::fs::create_dir(place.root().join("gates")).unwrap();
        std::fs::write(place.root().join("started"), "").unwrap();
        std::fs::write(place.env.work().join("README.md"), "hello\n").unwrap();
        place.commit_all();
        place.register("worker", WORKER);
        place.register("asker", ASKER);
        place
    }

    pub(crate) fn root(&self) -> &Path {
        self.env.root()
    }

    /// Registers a subagent; `ROOT` in its text is the folder around the home.
    pub(crate) fn register(&self, name: &str, text: &str) {
        let path = self.root().join(format!("{name}.toml"));
        std::fs::write(&path, text.replace("ROOT", self.root().to_str().unwrap())).unwrap();
        let _registered = self.admin(&["subagent", "register", name, "--from", path.to_str().unwrap()]).ok();
    }

    /// Makes a repository of the folder where programs start, with all that is in it.
    pub(crate) fn commit_all(&self) {
        self.git(&["init", "--quiet"]);
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "--quiet", "--message=all"]);
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", "-c", "gc.auto=0"]);
        command.args(arguments).current_dir(self.env.work());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", self.root().join("user"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn admin(&self, arguments: &[&str]) -> Output {
        self.env.run("agora-admin", arguments)
    }

    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.admin(&[&["--format", "json"], arguments].concat()).ok();
        serde_json::from_str(&text).unwrap()
    }

    /// Starts the command line as a process of its own; it says its events as JSON.
    pub(crate) fn start(&self, arguments: &[&str]) -> Program {
        let mut command = self.env.command("agora-admin");
        command.args(["--format", "json"]).args(arguments);
        Program::start(command)
    }

    /// Keeps a plan in a file, and says where.
    pub(crate) fn plan(&self, run: &str, items: &[Value]) -> String {
        let path = self.root().join(format!("{run}.json"));
        std::fs::write(&path, Self::plan_of(run, items).to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A plan of these items, for the repository where programs start.
    pub(crate) fn plan_of(run: &str, items: &[Value]) -> Value {
        json!({"id": run, "workspace": {"name": "cwd"}, "items": items})
    }

    /// Shuts a gate, before anybody knows of it.
    pub(crate) fn shut(&self, name: &str) -> Gate {
        let file = File::create_new(self.root().join("gates").join(name)).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        Gate { _file: file }
    }

    /// Every attempt that was started, as often as it was: run, item, attempt.
    pub(crate) fn started(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.root().join("started")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The process that holds the driver's lock. A child of it that is not yet its program has the same lock.
    pub(crate) fn driver(&self) -> Option<i32> {
        let lock = self.env.home().join("driver.lock");
        let holds = |pid: &i32| {
            let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
            descriptors.flatten().any(|descriptor| {
                let info = format!("/proc/{pid}/fdinfo/{}", descriptor.file_name().to_str().unwrap());
                std::fs::read_link(descriptor.path()).is_ok_and(|file| file == lock)
                    && std::fs::read_to_string(info).is_ok_and(|info| info.contains("\nlock:"))
            })
        };
        let holders = self.processes().into_iter().filter(holds).collect::<Vec<_>>();
        holders.iter().copied().find(|pid| parent(*pid).is_some_and(|parent| !holders.contains(&parent)))
    }

    /// Sees all open runs through.
    pub(crate) fn finish(&self) {
        let _ended = self.admin(&["serve", "--until-idle"]).ok();
    }

    /// What must hold when nothing is left to do: these runs, all of them and each once, are done as they should be, no
    /// attempt was started twice, and nothing is left behind.
    pub(crate) fn judge(&self, ends: &BTreeMap<String, &str>) {
        let runs: BTreeSet<String> = self.runs();
        assert_eq!(runs, ends.keys().cloned().collect(), "the runs that are there, and those that should be");
        let (mut cancelled, mut ran) = (BTreeSet::new(), BTreeSet::new());
        for (run, state) in ends {
            let reply = self.json(&["status", run]);
            assert_eq!((&reply["run"]["state"], &reply["run"]["sealed"]), (&json!(state), &json!(true)), "{reply}");
            for item in reply["items"].as_array().unwrap() {
                assert!(*state != "done" || item["state"] == "done", "{run}: {item}");
                let count = item["attempts"].as_u64().unwrap_or(0);
                let attempts = (1..=count).map(|at| format!("{run} {} {at}", item["item_id"].as_str().unwrap()));
                // What a cancel overtakes between its record and its launch is never started.
                if item["state"] == "cancelled" { &mut cancelled } else { &mut ran }.extend(attempts);
            }
            let audit = self.json(&["audit", run]);
            assert_eq!(audit["verdict"], "verified", "{run}: {audit}");
        }
        let started = self.started();
        let once = BTreeSet::from_iter(started.iter().cloned());
        assert_eq!(started.len(), once.len(), "what was started twice: {started:?}");
        let missing = ran.difference(&once).collect::<Vec<_>>();
        let unknown = once.difference(&ran).filter(|attempt| !cancelled.contains(*attempt)).collect::<Vec<_>>();
        assert!(missing.is_empty() && unknown.is_empty(), "never started: {missing:?}; not recorded: {unknown:?}");
        self.is_whole();
        self.is_clean();
    }

    /// The ids of all runs.
    fn runs(&self) -> BTreeSet<String> {
        let (mut runs, mut cursor) = (BTreeSet::new(), None::<String>);
        loop {
            let mut arguments = vec!["runs", "--limit", "200"];
            if let Some(cursor) = &cursor {
                arguments.extend(["--cursor", cursor]);
            }
            let reply = self.json(&arguments);
            for row in reply["runs"].as_array().unwrap() {
                assert!(runs.insert(row["run_id"].as_str().unwrap().to_owned()), "{row} comes twice");
            }
            cursor = reply["cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return runs;
            }
        }
    }

    /// `doctor` finds nothing but that these agents are not confined.
    pub(crate) fn is_whole(&self) {
        let doctor = self.json(&["doctor"]);
        for check in doctor["checks"].as_array().unwrap() {
            let is_target = check["check"] == "target" && check["status"] == "warn";
            assert!(is_target || check["status"] == "ok", "{check}");
        }
    }

    /// No attempt's folder and no process is left.
    pub(crate) fn is_clean(&self) {
        for pid in self.processes() {
            assert!(gone(pid), "left behind: {}", described(pid));
        }
        let attempts = std::fs::read_dir(self.env.home().join("attempts")).unwrap();
        let attempts: Vec<PathBuf> = attempts.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(attempts, Vec::<PathBuf>::new());
    }

    /// All processes that have anything of this place in their arguments, environment or working folder.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let root = self.root().as_os_str().as_encoded_bytes();
        let holds = |bytes: &[u8]| bytes.windows(root.len()).any(|part| part == root);
        let of_here = |pid: &i32| {
            let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            holds(&read("cmdline")) || holds(&read("environ")) || holds(folder.as_os_str().as_encoded_bytes())
        };
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of_here).collect()
    }
}

/// A test that fails leaves no process behind either: workers and detached drivers are nobody's children.
impl Drop for Place {
    fn drop(&mut self) {
        // One may start another before it ends.
        for _ in 0..ROUNDS {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            for pid in processes {
                // It may have ended by itself.
                let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
                let _ = gone(pid);
            }
        }
    }
}

/// The arguments of a process.
pub(crate) fn described(pid: i32) -> String {
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&arguments).replace('\0', " ")
}

/// An item of the worker's, which waits at this gate if it has a name.
pub(crate) fn item(id: &str, gate: &str, after: &[&str]) -> Value {
    json!({"id": id, "inputs": {"subagent": "worker", "workerInput": {"gate": gate}}, "depends_on": after})
}

/// The same with a lock.
pub(crate) fn locking(id: &str, gate: &str, after: &[&str], lock: &str) -> Value {
    let mut item = item(id, gate, after);
    item["resourceLocks"] = json!([lock]);
    item
}
