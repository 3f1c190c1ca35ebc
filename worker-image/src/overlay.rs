//! Capabilities over the workspace: which file stands at each path, which scripts are kept, and who lost; pure.
//!
//! The result is again a tree, so that the workspace is written once and nothing in it is ever replaced.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::id::Digest;
use agora_core::registry::{Capability, CapabilityFile, FileMode};
use agora_core::tree::{Mode, Node, Tree, TreePath};
use agora_core::worker::{Failure, Overlaid, Reason};
use serde_json::Value;

use crate::failure::{fail, shown};
use crate::merge::{Merge, ShapeConflict};
use crate::settings::clash;

/// The name of the first layer, in messages and in the outcome.
const WORKSPACE: &str = "workspace";
/// JSON files that every layer adds to, at the root.
const MERGED: [&str; 5] =
    [".claude/settings.json", ".mcp.json", ".cursor/mcp.json", ".cursor/cli.json", ".gemini/settings.json"];
/// Never laid over: each capability's is kept, all run.
const SETUP: &str = "agora-setup.sh";
/// Read by the engine.
const NOTIFICATIONS: &str = "agora-notifications.json";
/// United, for adapters that have plugins.
const PLUGINS: &str = "agora-plugins.json";
/// Longest file that is merged, in bytes.
const MERGED_BYTES_MAX: u64 = 1 << 20;

/// A capability as the task names it, its manifest read and checked.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) manifest: Capability,
}

/// A setup script that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) capability: String,
    pub(crate) script: Digest,
}

/// What the overlay comes to.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// What is laid out.
    pub(crate) tree: Tree,
    /// Bytes that neither the start tree nor a blob has: merged files.
    pub(crate) made: BTreeMap<Digest, Vec<u8>>,
    /// The paths that capabilities brought.
    pub(crate) brought: BTreeSet<TreePath>,
    /// The setup scripts, in order.
    pub(crate) setup: Vec<Setup>,
    /// Plugins named by any capability, first seen first.
    pub(crate) plugins: Vec<String>,
    /// Who won against whom.
    pub(crate) overlaid: Vec<Overlaid>,
    /// Who has each brought path.
    owners: BTreeMap<TreePath, String>,
    /// Layers of the files that are merged, in order.
    merging: BTreeMap<String, Vec<(String, Node)>>,
}

/// Reads a blob or a file of the start tree.
pub(crate) type ReadBytes<'a> = &'a dyn Fn(&Digest, u64) -> Result<Vec<u8>, Failure>;

/// Lays the capabilities over the tree, in order.
///
/// # Errors
/// `merge-conflict`, which names the path and both capabilities.
pub(crate) fn overlay(
    tree: Tree,
    layers: &[Layer],
    more_merged: &[&str],
    read: ReadBytes<'_>,
) -> Result<Overlay, Failure> {
    let mut overlay = Overlay { tree, ..Overlay::default() };
    for layer in layers {
        for file in &layer.manifest.files {
            let node = node_of(file)?;
            match file.path.as_str() {
                SETUP => overlay.setup.push(Setup { capability: layer.name.clone(), script: node.digest }),
                NOTIFICATIONS => {}
                PLUGINS => overlay.add_plugins(&layer.name, node, read)?,
                path if MERGED.contains(&path) || more_merged.contains(&path) => {
                    overlay.stand(&layer.name, path)?;
                    overlay.add_layer(&layer.name, path, node)?;
                }
                path => overlay.lay(&layer.name, path, node)?,
            }
        }
    }
    for (path, layers) in std::mem::take(&mut overlay.merging) {
        overlay.merge(&path, &layers, read)?;
    }
    Ok(overlay)
}

/// The node of a capability's file.
fn node_of(file: &CapabilityFile) -> Result<Node, Failure> {
    let digest = Digest::from_hex(&file.sha256)
        .map_err(|error| fail(Reason::DigestMismatch, format!("the capability file {:?}: {error}", file.path)))?;
    let mode = match file.mode {
        FileMode::File => Mode::File,
        FileMode::Exec => Mode::Exec,
    };
    Ok(Node { mode, digest, size_bytes: file.size })
}

impl Overlay {
    fn owner(&self, path: &TreePath) -> &str {
        self.owners.get(path).map_or(WORKSPACE, String::as_str)
    }

    /// Refuses a file where another layer has a folder, or the reverse.
    fn stand(&self, layer: &str, path: &str) -> Result<(), Failure> {
        let path = TreePath::from(path);
        let Some(other) = clash(&self.tree, &path) else { return Ok(()) };
        Err(conflict(
            &path,
            self.owner(&other),
            layer,
            &format!("one of {} and {} would have to be file and folder", shown(&other), shown(&path)),
        ))
    }

    /// The later wins.
    fn lay(&mut self, layer: &str, path: &str, node: Node) -> Result<(), Failure> {
        self.stand(layer, path)?;
        let path = TreePath::from(path);
        if self.tree.files.get(&path).is_some_and(|old| old.mode == Mode::Gitlink) {
            return Err(conflict(&path, self.owner(&path), layer, "a submodule has the place"));
        }
        let old = self.tree.files.insert(path.clone(), node);
        if old.is_some_and(|old| old != node) {
            self.overlaid.push(Overlaid {
                path: path.to_string(),
                winner: layer.to_owned(),
                loser: self.owner(&path).to_owned(),
            });
        }
        self.own(path, layer);
        Ok(())
    }

    fn own(&mut self, path: TreePath, layer: &str) {
        self.brought.insert(path.clone());
        self.owners.insert(path, layer.to_owned());
    }

    /// Remembers a layer of a merged file; the workspace's own is the first.
    fn add_layer(&mut self, layer: &str, path: &str, node: Node) -> Result<(), Failure> {
        let key = TreePath::from(path);
        let layers = self.merging.entry(path.to_owned()).or_default();
        if let Some(old) = self.tree.files.get(&key).filter(|_| layers.is_empty()) {
            if !matches!(old.mode, Mode::File | Mode::Exec) {
                return Err(conflict(&key, WORKSPACE, layer, "the workspace has a link or submodule there"));
            }
            layers.push((WORKSPACE.to_owned(), *old));
        }
        layers.push((layer.to_owned(), node));
        // The path is taken from now on, for whoever comes with a folder of this name.
        self.tree.files.insert(key.clone(), node);
        self.own(key, layer);
        Ok(())
    }

    fn merge(&mut self, path: &str, layers: &[(String, Node)], read: ReadBytes<'_>) -> Result<(), Failure> {
        let [(first, node), rest @ ..] = layers else { return Ok(()) };
        if rest.is_empty() {
            return Ok(());
        }
        let key = TreePath::from(path);
        let (second, _) = &rest[0];
        let mut merge = Merge::new(first, settings_of(&key, (first, node), second, read)?);
        let mut before = first;
        for (layer, node) in rest {
            let value = settings_of(&key, (layer, node), before, read)?;
            merge.over(layer, value).map_err(|ShapeConflict { at, earlier, shapes: (old, new) }| {
                let place = if at.is_empty() { "the whole file".to_owned() } else { format!("{at:?}") };
                conflict(&key, &earlier, layer, &format!("{place} is {old} in the one and {new} in the other"))
            })?;
            before = layer;
        }
        let bytes = merge.into_bytes();
        let node = Node { mode: Mode::File, digest: Digest::of(&bytes), size_bytes: bytes.len() as u64 };
        self.tree.files.insert(key, node);
        self.made.insert(node.digest, bytes);
        Ok(())
    }

    fn add_plugins(&mut self, layer: &str, node: Node, read: ReadBytes<'_>) -> Result<(), Failure> {
        let key = TreePath::from(PLUGINS);
        let value = settings_of(&key, (layer, &node), layer, read)?;
        let refuse = || conflict(&key, layer, layer, "it is not an array of strings");
        for plugin in value.as_array().ok_or_else(refuse)? {
            let plugin = plugin.as_str().ok_or_else(refuse)?;
            if !self.plugins.iter().any(|known| known == plugin) {
                self.plugins.push(plugin.to_owned());
            }
        }
        Ok(())
    }
}

/// The JSON of one layer's file.
fn settings_of(
    path: &TreePath,
    (layer, node): (&str, &Node),
    other: &str,
    read: ReadBytes<'_>,
) -> Result<Value, Failure> {
    if node.size_bytes > MERGED_BYTES_MAX {
        let what = format!("the file of {layer} is over the {MERGED_BYTES_MAX} bytes that are merged");
        return Err(conflict(path, other, layer, &what));
    }
    serde_json::from_slice(&read(&node.digest, node.size_bytes)?)
        .map_err(|error| conflict(path, other, layer, &format!("the file of {layer} is not JSON: {error}")))
}

fn conflict(path: &TreePath, earlier: &str, later: &str, why: &str) -> Failure {
    let who = if earlier == later { later.to_owned() } else { format!("{earlier} and {later}") };
    fail(Reason::MergeConflict, format!("{} of {who} cannot be merged: {why}", shown(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A world of files: workspace and capabilities, as `(name, [(path, content)])`.
    fn laid(layers: &[(&str, &[(&str, &str)])]) -> Result<(Overlay, BTreeMap<String, String>), Failure> {
        let mut bytes = BTreeMap::new();
        let mut node = |text: &str| {
            let digest = Digest::of(text.as_bytes());
            bytes.insert(digest, text.as_bytes().to_vec());
            Node { mode: Mode::File, digest, size_bytes: text.len() as u64 }
        };
        let mut tree = Tree::default();
        let mut capabilities = Vec::new();
        for (name, files) in layers {
            if *name == WORKSPACE {
                tree.files = files.iter().map(|(path, text)| ((*path).into(), node(text))).collect();
                continue;
            }
            let files = files.iter().map(|(path, text)| {
                let (node, path) = (node(text), (*path).to_owned());
                CapabilityFile { mode: FileMode::File, path, sha256: node.digest.hex(), size: node.size_bytes }
            });
            let manifest = Capability {
                format: "agora-capability/v1".to_owned(),
                about: None,
                allowed_patterns: vec![],
                files: files.collect(),
            };
            capabilities.push(Layer { name: (*name).to_owned(), manifest });
        }
        let read = |digest: &Digest, _| Ok(bytes[digest].clone());
        let overlay = overlay(tree, &capabilities, &[".x/extra.json"], &read)?;
        let text = |node: &Node| {
            let made = overlay.made.get(&node.digest).unwrap_or_else(|| &bytes[&node.digest]);
            String::from_utf8(made.clone()).unwrap()
        };
        let files = overlay.tree.files.iter().map(|(path, node)| (path.to_string(), text(node))).collect();
        Ok((overlay, files))
    }

    #[test]
    fn json_settings_are_merged_and_everything_else_is_won_by_the_later() {
        for path in MERGED.into_iter().chain([".x/extra.json"]) {
            let (overlay, files) = laid(&[
                (WORKSPACE, &[(path, r#"{"a":[1],"s":"w"}"#)]),
                ("one", &[(path, r#"{"a":[1,2],"n":{"x":1}}"#)]),
                ("two", &[(path, r#"{"n":{"y":2},"s":"t"}"#)]),
            ])
            .unwrap();
            let expected = serde_json::json!({"a": [1, 2], "n": {"x": 1, "y": 2}, "s": "t"});
            assert_eq!(files[path], format!("{expected:#}\n"), "{path}");
            assert!(overlay.overlaid.is_empty());
        }
        for path in [".claude/skills/a/SKILL.md", "sub/.mcp.json", "x/agora-setup.sh", "README.md"] {
            let (overlay, files) =
                laid(&[(WORKSPACE, &[(path, "w")]), ("one", &[(path, "1")]), ("two", &[(path, "2")])]).unwrap();
            assert_eq!(files[path], "2", "{path}");
            let who: Vec<_> = overlay.overlaid.iter().map(|o| (o.winner.as_str(), o.loser.as_str())).collect();
            assert_eq!(who, [("one", "workspace"), ("two", "one")]);
        }
    }

    #[test]
    fn a_settings_file_of_one_layer_is_kept_byte_for_byte() {
        let (_, files) = laid(&[("one", &[(".mcp.json", "{ \"a\":1 } ")])]).unwrap();
        assert_eq!(files[".mcp.json"], "{ \"a\":1 } ");
        let (_, files) = laid(&[(WORKSPACE, &[(".mcp.json", "// not json")]), ("one", &[("x", "")])]).unwrap();
        assert_eq!(files[".mcp.json"], "// not json");
    }

    #[test]
    fn files_of_agora_are_not_laid_out() {
        let (overlay, files) = laid(&[
            (WORKSPACE, &[("agora-setup.sh", "the workspace's own")]),
            ("one", &[("agora-setup.sh", "1"), ("agora-plugins.json", r#"["a","b"]"#)]),
            ("two", &[("agora-setup.sh", "2"), ("agora-plugins.json", r#"["b","c"]"#)]),
            ("three", &[("agora-notifications.json", "[]")]),
        ])
        .unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files["agora-setup.sh"], "the workspace's own");
        let scripts: Vec<_> = overlay.setup.iter().map(|s| (s.capability.as_str(), s.script)).collect();
        assert_eq!(scripts, [("one", Digest::of(b"1")), ("two", Digest::of(b"2"))]);
        assert_eq!(overlay.plugins, ["a", "b", "c"]);
    }

    #[test]
    fn conflicts_name_the_path_and_both_capabilities() {
        type Files<'a> = &'a [(&'a str, &'a str)];
        let table: [(&str, Files, Files, Files, [&str; 3]); 8] = [
            (
                "shape",
                &[],
                &[(".mcp.json", r#"{"a":{}}"#)],
                &[(".mcp.json", r#"{"a":1}"#)],
                [".mcp.json", "one", "two"],
            ),
            ("first", &[(".mcp.json", r#"{"a":1}"#)], &[], &[(".mcp.json", r#"{"a":[]}"#)], ["/a", WORKSPACE, "two"]),
            ("json", &[], &[(".mcp.json", "{")], &[(".mcp.json", "{}")], ["not JSON", "one", "two"]),
            ("folder", &[], &[("a", "")], &[("a/b", "")], ["a/b", "one", "two"]),
            ("file", &[("a/b", "")], &[], &[("a", "")], ["a/b", WORKSPACE, "two"]),
            ("settings", &[], &[(".mcp.json", "{}")], &[(".mcp.json/x", "")], [".mcp.json", "one", "two"]),
            ("under", &[(".cursor", "")], &[], &[(".cursor/mcp.json", "{}")], [".cursor/mcp.json", WORKSPACE, "two"]),
            ("plugins", &[], &[], &[("agora-plugins.json", "{}")], ["agora-plugins.json", "array", "two"]),
        ];
        for (name, workspace, one, two, parts) in table {
            let Err(failure) = laid(&[(WORKSPACE, workspace), ("one", one), ("two", two)]) else { panic!("{name}") };
            assert_eq!(failure.reason, Reason::MergeConflict, "{name}");
            assert!(parts.iter().all(|part| failure.detail.contains(part)), "{name}: {}", failure.detail);
        }
    }
}
