//! The bytes of one statement.

use serde::Serialize;

use crate::canon::{self, CanonError, DEPTH_MAX};
use crate::id::{Digest, Enc, ItemId, RunId};
use crate::isolation::Isolation;
use crate::record::{
    AddedItem, AttemptFinished, AttemptLeased, AttemptStarted, NamedRef, RunOpened, SecretUse, UsedInput,
};
use crate::time::Time;

/// What a statement is made of, as the entries of one run have it.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The run.
    pub run: &'a RunId,
    /// Its entry 0.
    pub opened: &'a RunOpened,
    /// The item, from its `items.added`.
    pub item: &'a AddedItem,
    /// What that same `items.added` resolved; `item.uses` points into it.
    pub resolved: &'a [NamedRef],
    /// The lease of the accepted attempt.
    pub leased: &'a AttemptLeased,
    /// Its start.
    pub started: &'a AttemptStarted,
    /// When it started.
    pub started_at: Time,
    /// Its end.
    pub finished: &'a AttemptFinished,
    /// When it ended.
    pub finished_at: Time,
    /// The position of the item's `item.done`.
    pub done: u64,
}

#[derive(Serialize)]
struct Statement<'a> {
    _type: &'static str,
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    subject: Vec<Named>,
    predicate: Predicate<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Predicate<'a> {
    build_definition: BuildDefinition<'a>,
    run_details: RunDetails<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition<'a> {
    build_type: &'static str,
    external_parameters: External<'a>,
    internal_parameters: Internal<'a>,
    resolved_dependencies: Vec<Named>,
}

/// The members of ours keep the names that records have.
#[derive(Serialize)]
struct External<'a> {
    item: &'a ItemId,
    item_digest: String,
    executor: &'a Enc,
    target: &'a Enc,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a Enc>,
}

#[derive(Serialize)]
struct Internal<'a> {
    attempt: u64,
    fence: u64,
    isolation: &'a Isolation,
    secrets: &'a [SecretUse],
}

#[derive(Serialize)]
struct RunDetails<'a> {
    builder: Builder<'a>,
    metadata: Metadata,
    byproducts: Vec<Named>,
}

#[derive(Serialize)]
struct Builder<'a> {
    id: String,
    version: Version<'a>,
}

#[derive(Serialize)]
struct Version<'a> {
    agora: &'a Enc,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    invocation_id: String,
    started_on: Time,
    finished_on: Time,
}

/// A name and the digest of what it names (in-toto ResourceDescriptor).
#[derive(Serialize)]
struct Named {
    name: String,
    digest: Sha256,
}

/// 64 hex digits, without the `sha256:` of records.
#[derive(Serialize)]
struct Sha256 {
    sha256: String,
}

fn named(name: impl Into<String>, digest: &Digest) -> Named {
    Named { name: name.into(), digest: Sha256 { sha256: digest.hex() } }
}

/// Writes the payload of the statement about one accepted item: canonical JSON as entries have it, of any depth. What is
/// absent in the entries is left out, and percent-encoded names stand as they stand there.
///
/// # Errors
/// [`CanonError`] for an item that uses something beyond `resolved`, and for open members of an isolation report that no
/// entry could have held.
pub fn payload(of: &Parts<'_>) -> Result<Vec<u8>, CanonError> {
    let Parts { run, opened, item, leased, started, finished, .. } = of;
    let isolation = &started.isolation;
    let statement = Statement {
        _type: "https://in-toto.io/Statement/v1",
        predicate_type: "https://slsa.dev/provenance/v1",
        subject: subjects(finished),
        predicate: Predicate {
            build_definition: BuildDefinition {
                build_type: "urn:agora:item:v1",
                external_parameters: External {
                    item: &item.id,
                    item_digest: item.digest.hex(),
                    executor: &item.executor,
                    target: &leased.target,
                    model: leased.model.as_ref(),
                },
                internal_parameters: Internal {
                    attempt: leased.attempt,
                    fence: leased.fence,
                    isolation,
                    secrets: &started.secrets,
                },
                resolved_dependencies: dependencies(of)?,
            },
            run_details: RunDetails {
                builder: Builder {
                    id: format!("https://{}/builder/{}/{}", opened.log, isolation.provider, isolation.profile),
                    version: Version { agora: &opened.agora },
                },
                metadata: Metadata {
                    invocation_id: format!("{}/run/{run}#{}", opened.log, of.done),
                    started_on: of.started_at,
                    finished_on: of.finished_at,
                },
                byproducts: byproducts(finished),
            },
        },
    };
    canon::entry_bytes(&statement, DEPTH_MAX)
}

fn subjects(finished: &AttemptFinished) -> Vec<Named> {
    let patch = finished.patch.iter().map(|patch| named("patch", &patch.digest));
    let outputs = finished.outputs.iter().map(|output| named(format!("outputs/{}", output.path), &output.digest));
    patch.chain(outputs).collect()
}

fn dependencies(of: &Parts<'_>) -> Result<Vec<Named>, CanonError> {
    let Parts { opened, item, resolved, leased, started, finished, .. } = of;
    let known = [
        ("plan", Some(&opened.plan)),
        ("registry", Some(&opened.registry.digest)),
        ("base", opened.base.as_ref().map(|base| &base.tree)),
        ("start_tree", finished.start_tree.as_ref()),
        ("target", Some(&leased.target_digest)),
        ("message", leased.message.as_ref()),
        ("image", started.image.as_ref()),
        ("worker", Some(&started.worker.digest)),
        ("task", Some(&started.task)),
    ];
    let mut all = present(known);
    for at in &item.uses {
        let used = usize::try_from(*at).ok().and_then(|at| resolved.get(at));
        let used =
            used.ok_or(CanonError::Value { pointer: "/uses".to_owned(), what: "a position beyond `resolved`" })?;
        all.push(named(format!("{}/{}", used.kind, used.name), &used.digest));
    }
    all.extend(leased.inputs.iter().map(input));
    Ok(all)
}

fn input(input: &UsedInput) -> Named {
    let UsedInput { key, item, digest, .. } = input;
    let name = match (key, item) {
        (Some(key), _) => key.to_string(),
        (None, Some(item)) => item.to_string(),
        (None, None) => digest.hex(),
    };
    named(format!("input/{name}"), digest)
}

fn byproducts(finished: &AttemptFinished) -> Vec<Named> {
    present([
        ("result_tree", finished.result_tree.as_ref()),
        ("log", finished.log.as_ref().map(|log| &log.digest)),
        ("verify", finished.verify.as_ref().map(|verify| &verify.report)),
        ("report", finished.report.as_ref()),
    ])
}

fn present<const N: usize>(all: [(&str, Option<&Digest>); N]) -> Vec<Named> {
    all.into_iter().filter_map(|(name, digest)| Some(named(name, digest?))).collect()
}
