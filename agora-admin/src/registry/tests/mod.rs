//! The registry from both sides: what is published here, as agora-engine reads it.

mod crash;
mod deploy;
mod tamper;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use agora_core::error::{Coded as _, Problem};
use agora_core::id::Name;
use agora_core::registry::Kind;
use agora_core::time::Time;
use agora_engine::registry::Current;
use tempfile::TempDir;

use super::memory::MemoryBlobs;
use super::{ChangeError, Deployed, Document, Editor, Mode, Others, Syntax};
use crate::init::{Options, init};

pub(super) const NOW: i64 = 1_800_000_000_000_000;

/// A home with an empty registry, and a folder of documents beside it.
pub(super) struct Place {
    folder: TempDir,
    pub(super) blobs: MemoryBlobs,
}

impl Place {
    pub(super) async fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), blobs: MemoryBlobs::default() };
        fs::create_dir(place.documents()).unwrap();
        let options = Options { host: "test", now: Time::from_micros(NOW), seen_version: None };
        init(&place.home(), &place.blobs, options).await.unwrap();
        place
    }

    pub(super) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(super) fn documents(&self) -> PathBuf {
        self.folder.path().join("documents")
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.documents().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) async fn deploy_as(&self, text: &str, others: Others, mode: Mode) -> Result<Deployed, ChangeError> {
        let document = Document::parse(text.as_bytes(), Syntax::of_bytes(text.as_bytes()), &self.documents());
        let document = document.map_err(ChangeError::Refused)?;
        let environment = BTreeMap::from([("SEEN".to_owned(), "seen".to_owned())]);
        let home = self.home();
        let editor = Editor::new(&home, &self.blobs, None, Time::from_micros(NOW + 1));
        editor.deploy(&document, &environment, others, mode, "deploy\nagora.deploy.toml").await
    }

    pub(super) async fn deploy(&self, text: &str) -> Deployed {
        match self.deploy_as(text, Others::Keep, Mode::Apply).await {
            Ok(deployed) => deployed,
            Err(error) => panic!("{:#?}", error.problems()),
        }
    }

    /// The problems of a refused document: code and place.
    pub(super) async fn refused(&self, text: &str) -> Vec<(String, String)> {
        let error = self.deploy_as(text, Others::Keep, Mode::Apply).await.expect_err(text);
        error.problems().into_iter().map(|Problem { code, at, .. }| (code, at.unwrap_or_default())).collect()
    }

    pub(super) async fn read(&self) -> Current {
        agora_engine::registry::RegistryReader::open(&self.home()).read(None, &self.blobs).await.unwrap()
    }

    pub(super) async fn version(&self) -> u64 {
        self.read().await.snapshot.version
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// What a plan prints.
pub(super) fn rows(deployed: &Deployed) -> Vec<String> {
    let row = |change: &super::Change| format!("{} {} {}", change.op.sign(), change.kind, change.name);
    deployed.changes.iter().map(row).collect()
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[test]
fn the_sentinel_is_in_a_program_that_can_publish() {
    let program = fs::read(std::env::current_exe().unwrap()).unwrap();
    let sentinel = ["agora-sentinel:", "registry-admin-writer"].concat();
    assert!(program.windows(sentinel.len()).any(|window| window == sentinel.as_bytes()));
}

#[tokio::test]
async fn an_entry_is_listed_and_shown_and_a_slip_of_the_pen_is_understood() {
    let place = Place::new().await;
    place.write("rules/a.md", "be kind");
    place.deploy("[capability.house-rules]\nfrom = \"rules\"\nabout = \"House rules\"\n[subagent.code-edit]\nruntime = \"claude-code\"\ntemplate = \"Edit {{ file }}\"\ntargets = [\"*\"]\ncapabilities = [\"house-rules\"]\n[env.e]\nvalues = { A = \"1\" }\n[pipeline.p]\nblocks = [{ kind = \"agent\" }]\n").await;
    let home = place.home();
    let editor = Editor::new(&home, &place.blobs, None, Time::from_micros(NOW));
    for kind in Kind::ALL {
        assert_eq!(editor.list(*kind).await.unwrap().len(), 1, "{kind}");
    }
    let subagents = editor.list(Kind::Subagent).await.unwrap();
    assert_eq!(subagents[0].subagent.as_ref().unwrap().expects.keys().collect::<Vec<_>>(), ["file"]);
    let shown = editor.show(Kind::Subagent, &name("code-edit")).await.unwrap();
    assert_eq!((shown.since, shown.texts["template"].as_str()), (2, "Edit {{ file }}"));
    assert_eq!(shown.artifact["capabilities"][0]["name"], "house-rules");
    let error = editor.show(Kind::Subagent, &name("code-edti")).await.unwrap_err();
    assert_eq!((error.code(), error.hint().as_deref()), ("entry-unknown", Some("did you mean \"code-edit\"?")));
    let history = editor.history(10).await.unwrap();
    let versions: Vec<_> = history.iter().map(|v| (v.version, v.entries, v.comment.as_str())).collect();
    assert_eq!(versions, [(2, 4, "deploy agora.deploy.toml"), (1, 0, "init")]);
    assert_eq!(editor.history(1).await.unwrap().len(), 1);
}
