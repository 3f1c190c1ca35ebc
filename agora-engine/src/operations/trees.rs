//! The accepted patches of a run as trees: for its merged patch, and for `apply`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use agora_core::error::{Class, Coded as _, Problem};
use agora_core::id::{Digest, ItemId, RunId};
use agora_core::state::RunState;
use agora_core::time::Time;
use agora_core::tree::Tree;
use agora_core::worker::Change;
use agora_tree::{Content, ContentError, Pack, merge_steps};

use super::accept::{disk, internal};
use super::find::with_bytes;
use super::status::locate;
use super::{Caller, OpError};
use crate::engine::Engine;
use crate::journal::StoreError;

/// One accepted patch, merged.
#[derive(Debug, Clone)]
pub struct TreeStep {
    /// Whose it is.
    pub item: ItemId,
    /// The attempt that made it.
    pub attempt: u64,
    /// The subagent's name.
    pub subagent: String,
    /// The patch's digest.
    pub patch: Digest,
    /// Files it touches.
    pub files: u64,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Kinds of flag, as recorded when it was accepted.
    pub flags: Vec<String>,
    /// When it was accepted.
    pub accepted_at: Time,
    /// The base tree with this and every earlier step merged.
    pub tree: Tree,
}

/// The accepted patches of a run, in the order in which they are merged.
pub struct RunTrees {
    /// The run.
    pub run_id: RunId,
    /// Where it stands.
    pub state: String,
    /// The workspace's name.
    pub workspace: String,
    /// The folder it was read from.
    pub place: PathBuf,
    /// The base commit; none for a plain folder.
    pub commit: Option<String>,
    /// Whether the base is the working tree over that commit.
    pub dirty: bool,
    /// The base tree.
    pub base: Tree,
    /// The bytes of all the trees.
    pub content: Arc<dyn Content + Send + Sync>,
    /// The steps.
    pub steps: Vec<TreeStep>,
}

/// What is looked up about a run before its trees are made.
struct Plan {
    base: Option<agora_core::record::BaseRef>,
    pack: Option<Digest>,
    place: Option<String>,
    state: String,
    steps: Vec<(Change, TreeStep)>,
}

/// Bytes of a base's pack, and those that merges added.
struct Merged {
    pack: Option<Pack>,
    added: BTreeMap<Digest, Vec<u8>>,
}

impl Content for Merged {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        match (self.added.get(digest), &self.pack) {
            (Some(bytes), _) => Ok(bytes.clone()),
            (None, Some(pack)) => pack.read(digest),
            (None, None) => Err(ContentError::Missing(*digest)),
        }
    }
}

/// Patches in memory.
struct Patches(BTreeMap<Digest, Vec<u8>>);

impl Content for Patches {
    fn read(&self, digest: &Digest) -> Result<Vec<u8>, ContentError> {
        self.0.get(digest).cloned().ok_or(ContentError::Missing(*digest))
    }
}

impl Engine {
    /// The accepted patches of a run, or of one item and all it depends on, merged step by step.
    ///
    /// # Errors
    /// `run-unknown`, `item-unknown`, `no-workspace`, `no-patch`, `patch-conflict` naming both items and the paths.
    pub async fn run_trees(&self, caller: &Caller, run_id: &str, item_id: Option<&str>) -> Result<RunTrees, OpError> {
        let run = with_bytes(self.find_run(caller, run_id, false).await?)?.id;
        let plan = self.tree_plan(&run, item_id).await?;
        if plan.steps.is_empty() {
            let problem = Problem::new(Class::Missing, "no-patch", "nothing with a patch has been accepted here");
            return Err(OpError::one(problem.hint(format!("see `status` of the run {run}"))));
        }
        let (tree, pack) = self.base_of(&plan).await?;
        let mut patches = BTreeMap::new();
        for (_, step) in &plan.steps {
            patches.insert(step.patch, self.blobs.get(&step.patch).await?);
        }
        let base = plan.base.clone();
        let (steps, content) = tokio::task::spawn_blocking(move || {
            merge(&tree, pack, plan.steps, &Patches(patches)).map(|done| (done, tree))
        })
        .await
        .map_err(|error| internal(&error))?
        .map(|((steps, content), tree)| ((steps, tree), content))?;
        let (steps, tree) = steps;
        Ok(RunTrees {
            run_id: run,
            state: plan.state,
            workspace: base.as_ref().map(|base| base.workspace.to_string()).unwrap_or_default(),
            place: plan.place.map(PathBuf::from).unwrap_or_default(),
            commit: base.as_ref().and_then(|base| base.commit.as_ref()).map(ToString::to_string),
            dirty: base.is_some_and(|base| base.dirty),
            base: tree,
            content: Arc::new(content),
            steps,
        })
    }

    async fn tree_plan(&self, run: &RunId, item_id: Option<&str>) -> Result<Plan, OpError> {
        let item = item_id.map(str::to_owned);
        self.with_run(run, move |ledger, id| {
            let state = ledger.board_ref().run(id).ok_or_else(|| StoreError::NoRun(id.to_string()))?;
            let members = match &item {
                None => state.patched(),
                Some(item) => {
                    let (state, ix) = locate(ledger, id, item)?;
                    let patched = state.items[ix].accepted.as_ref().is_some_and(|accepted| accepted.patch.is_some());
                    let mut members = state.lineage(ix);
                    members.extend(patched.then_some(ix));
                    members
                }
            };
            let steps = state.changes(&members).into_iter().filter_map(|change| Some((step(state, &change)?, change)));
            let steps = steps.map(|(step, change)| (change, step)).collect();
            let base = state.opened.base.clone();
            let pack = match &base {
                Some(base) => ledger.pack_of(&base.tree)?.map(|(pack, _)| pack),
                None => None,
            };
            let place = ledger.meta(id).and_then(|meta| meta.place.clone());
            Ok(Plan { base, pack, place, state: state.word().to_owned(), steps })
        })
        .await
    }

    /// The base tree, and its pack as a file that is kept for the next time.
    async fn base_of(&self, plan: &Plan) -> Result<(Tree, Option<Pack>), OpError> {
        let Some(base) = &plan.base else { return Ok((Tree::default(), None)) };
        let pack = plan.pack.ok_or_else(|| internal(&"a base tree without a pack"))?;
        let manifest = self.blobs.get(&base.tree).await?;
        let tree = Tree::from_manifest(&manifest).map_err(|error| internal(&error))?;
        let folder = self.home.join("trees");
        std::fs::create_dir_all(&folder).map_err(|error| disk(&error))?;
        let path = folder.join(format!("{}.pack", pack.hex()));
        if !path.is_file() {
            let fresh = folder.join(format!("{}-{}", pack.hex(), uuid::Uuid::now_v7().simple()));
            self.blobs.export(&pack, &fresh).await?;
            std::fs::rename(&fresh, &path).map_err(|error| disk(&error))?;
        }
        let pack = Pack::open(&path, &tree).map_err(|error| internal(&error))?;
        Ok((tree, Some(pack)))
    }

    /// The merged patch of a run: the base tree against all accepted patches. `None`: no patch was accepted.
    pub(super) async fn merged_patch(
        &self,
        caller: &Caller,
        run: &RunId,
    ) -> Result<Option<agora_tree::MadePatch>, OpError> {
        let trees = match self.run_trees(caller, run.as_str(), None).await {
            Ok(trees) => trees,
            Err(error) if error.first().code == "no-patch" => return Ok(None),
            Err(error) => return Err(error),
        };
        tokio::task::spawn_blocking(move || {
            let last = trees.steps.last().map(|step| step.tree.clone()).unwrap_or_default();
            agora_tree::diff(&trees.base, &last, trees.content.as_ref()).map_err(OpError::from)
        })
        .await
        .map_err(|error| internal(&error))?
    }
}

fn step(state: &RunState, change: &Change) -> Option<TreeStep> {
    let item = state.item(&change.item)?;
    let patch = item.accepted.as_ref()?.patch.as_ref()?;
    let subagent = item.uses.iter().find(|used| used.kind.as_str() == "subagent");
    Some(TreeStep {
        item: item.id.clone(),
        attempt: item.attempts,
        subagent: subagent.map(|used| used.name.to_string()).unwrap_or_default(),
        patch: patch.digest,
        files: patch.files,
        size_bytes: patch.size_bytes,
        flags: patch.flags.iter().map(ToString::to_string).collect(),
        accepted_at: item.since,
        tree: Tree::default(),
    })
}

/// Merges the steps one after another. Conflicts are collected, so that all of them are named at once.
fn merge(
    base: &Tree,
    pack: Option<Pack>,
    steps: Vec<(Change, TreeStep)>,
    patches: &Patches,
) -> Result<(Vec<TreeStep>, Merged), OpError> {
    let mut content = Merged { pack, added: BTreeMap::new() };
    let (changes, steps): (Vec<Change>, Vec<TreeStep>) = steps.into_iter().unzip();
    let merged = merge_steps(base, &changes, &content, patches)?;
    let (mut done, mut problems) = (Vec::new(), Vec::new());
    for (tree, step) in merged.trees.into_iter().zip(steps) {
        match tree {
            Ok(tree) => done.push(TreeStep { tree, ..step }),
            Err(conflict) => problems.push(conflict.problem()),
        }
    }
    content.added = merged.added;
    if problems.is_empty() { Ok((done, content)) } else { Err(OpError { problems }) }
}
