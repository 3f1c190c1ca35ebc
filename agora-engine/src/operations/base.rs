//! What a run starts from: the folder of its workspace, and the tree in it.

use std::path::Path;

use agora_core::error::{Class, Coded as _, Problem};
use agora_core::id::Enc;
use agora_core::plan::WorkspaceRef;
use agora_core::record::BaseRef;
use agora_tree::{git_tree_id, read_base};

use super::accept::{disk, internal};
use super::{Caller, OpError};
use crate::engine::Engine;

impl Engine {
    /// The folder of a workspace: its path without links, which the run's row keeps as text.
    pub(super) fn place(&self, caller: &Caller, workspace: &WorkspaceRef) -> Result<String, Problem> {
        let folder = match self.config.workspaces.get(&workspace.name) {
            Some(registered) => registered.path.clone(),
            None => caller.cwd.clone().ok_or_else(|| {
                Problem::new(Class::Caller, "workspace-unknown", "there is no current folder that cwd could stand for")
                    .at("/workspace/name")
                    .hint("name a registered workspace")
            })?,
        };
        let unfit = |why: &dyn std::fmt::Display| {
            Problem::new(Class::Operator, "workspace-path", format!("the workspace {}: {why}", workspace.name))
                .at("/workspace/name")
        };
        let found = folder.canonicalize().map_err(|error| unfit(&error).hint("see [workspaces] in agora.toml"))?;
        found.into_os_string().into_string().map_err(|path| {
            let why = format!("its path {} is not UTF-8", path.display());
            unfit(&why).hint("rename the folder, or move the repository")
        })
    }

    /// The base tree of a workspace: from the cache, or read now.
    pub(super) async fn read_base(&self, place: &Path, workspace: &WorkspaceRef) -> Result<BaseRef, OpError> {
        let name = Enc::encode(workspace.name.as_str());
        if !workspace.dirty
            && let Ok((git_tree, commit)) = git_tree_id(place, &workspace.rev)
        {
            let wanted = git_tree.clone();
            let cached = self
                .journal
                .call(move |ledger| {
                    let Some(tree) = ledger.tree_of_git(&wanted)? else { return Ok(None) };
                    Ok(ledger.pack_of(&tree)?.map(|(pack, _)| (tree, pack)))
                })
                .await?;
            if let Some((tree, pack)) = cached
                && self.blobs.keep(&tree).await?
                && self.blobs.keep(&pack).await?
            {
                return Ok(BaseRef { workspace: name, tree, commit: Some(Enc::encode(&commit)), dirty: false });
            }
        }
        let folder = self.home.join("trees");
        std::fs::create_dir_all(&folder).map_err(|error| disk(&error))?;
        let pack_path = folder.join(format!("reading-{}", uuid::Uuid::now_v7().simple()));
        let read = self.read_base_into(place, workspace, &pack_path).await;
        // Its bytes are a blob by now, or of no use.
        let _ = std::fs::remove_file(&pack_path);
        let base = read?;
        let tree = base.tree.digest()?;
        Ok(BaseRef { workspace: name, tree, commit: base.commit.as_deref().map(Enc::encode), dirty: base.dirty })
    }

    async fn read_base_into(
        &self,
        place: &Path,
        workspace: &WorkspaceRef,
        pack_path: &Path,
    ) -> Result<agora_tree::BaseTree, OpError> {
        let (place, rev, dirty, to) = (place.to_owned(), workspace.rev.clone(), workspace.dirty, pack_path.to_owned());
        let base = tokio::task::spawn_blocking(move || {
            let file = std::fs::File::create_new(&to).map_err(|error| disk(&error))?;
            let mut pack = std::io::BufWriter::new(file);
            let base = read_base(&place, &rev, dirty, &mut pack)?;
            std::io::Write::flush(&mut pack).map_err(|error| disk(&error))?;
            Ok::<_, OpError>(base)
        })
        .await
        .map_err(|error| internal(&error))??;
        let manifest = base.tree.to_manifest()?;
        let tree = self.blobs.put(&manifest).await?;
        let (pack, pack_bytes) = self.blobs.put_file(pack_path).await?;
        let git_tree = base.git_tree.clone();
        self.journal
            .call(move |ledger| ledger.transact(|tx| tx.put_tree(&tree, &pack, pack_bytes, git_tree.as_deref())))
            .await?;
        Ok(base)
    }
}

/// What of a workspace can be told without reading it.
pub(super) fn check_place(place: &Path, workspace: &WorkspaceRef) -> Option<Problem> {
    let is_repository = place.join(".git").exists() || place.join("HEAD").is_file();
    if workspace.dirty || !is_repository {
        return None;
    }
    git_tree_id(place, &workspace.rev).err().map(|error| {
        let mut problem = error.problem();
        problem.at = Some("/workspace/rev".to_owned());
        problem
    })
}
