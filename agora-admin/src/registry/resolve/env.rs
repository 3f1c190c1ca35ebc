//! Env bundles of a document: `extends` other bundles, `from_env` takes the operator's own variables, `values` come last.

use std::collections::{BTreeMap, BTreeSet};

use agora_core::error::{Class, Coded as _, Problem};
use agora_core::id::Name;
use agora_core::registry::{EnvBundle, Kind, decode, unsupported};
use agora_core::seam::BlobStore;

use super::Work;
use super::field::{Fields, artifact};
use crate::registry::document::{Table, escape};

const KEYS: [&str; 5] = ["about", "extends", "values", "from_env", "secrets"];

/// A bundle that is still to come: its table, and the bundles it extends with their places.
type Coming<'t> = (&'t Table, Vec<(Name, String)>);

/// Resolves all bundles, those that others extend first.
pub(super) async fn bundles(work: &mut Work<'_>, environment: &BTreeMap<String, String>, blobs: &dyn BlobStore) {
    let document = work.document;
    let mut made: BTreeMap<Name, EnvBundle> = BTreeMap::new();
    let mut left: BTreeMap<&Name, Coming<'_>> = BTreeMap::new();
    for (name, table) in document.of(Kind::Env) {
        let mut fields = Fields::new(table, &KEYS, &[]);
        let extends = fields.names("extends", true);
        let mut problems = fields.finish();
        problems.extend(extends.iter().filter_map(|(base, at)| {
            let known = document.of(Kind::Env).any(|(name, _)| name == base);
            if known { None } else { work.known(Kind::Env, base, at) }
        }));
        if problems.is_empty() {
            left.insert(name, (table, extends));
        } else {
            work.refuse(Kind::Env, name, problems);
        }
    }
    loop {
        // What extends nothing that is still to come; broken ones never come.
        let waits = |extends: &[(Name, String)]| extends.iter().any(|(base, _)| left.contains_key(base));
        let ready: Vec<&Name> =
            left.iter().filter(|(_, (_, extends))| !waits(extends)).map(|(name, _)| *name).collect();
        if ready.is_empty() {
            break;
        }
        for name in ready {
            let Some((table, extends)) = left.remove(name) else { continue };
            let mut bases = Vec::new();
            for (base, at) in &extends {
                match base_bundle(work, base, at, &made, blobs).await {
                    Ok(bundle) => bases.extend(bundle),
                    Err(problem) => work.refuse(Kind::Env, name, vec![problem]),
                }
            }
            let bundle = one(table, bases, environment);
            if let Ok(bundle) = &bundle {
                made.insert(name.clone(), bundle.clone());
            }
            if !work.broken.contains(&(Kind::Env, name.clone())) {
                work.take(name, bundle);
            }
        }
    }
    let circle: BTreeSet<&str> = left.keys().map(|name| name.as_str()).collect();
    for name in left.keys() {
        let message = format!("bundles extend each other in a circle, among them {}", join(&circle));
        let problem = Problem::new(Class::Operator, "env-circle", message).at("/extends").hint("take one of them out");
        work.refuse(Kind::Env, name, vec![problem]);
    }
}

fn join(names: &BTreeSet<&str>) -> String {
    names.iter().take(20).copied().collect::<Vec<_>>().join(", ")
}

/// The bundle that another extends: from this document, or as it stands. `None`: it is broken, which was told.
async fn base_bundle(
    work: &Work<'_>,
    base: &Name,
    at: &str,
    made: &BTreeMap<Name, EnvBundle>,
    blobs: &dyn BlobStore,
) -> Result<Option<EnvBundle>, Problem> {
    if let Some(bundle) = made.get(base) {
        return Ok(Some(bundle.clone()));
    }
    if work.broken.contains(&(Kind::Env, base.clone())) {
        return Ok(None);
    }
    let Some(digest) = work.digest(Kind::Env, base) else { return Ok(None) };
    let bytes = blobs.get(&digest).await.map_err(|error| error.problem().at(at))?;
    decode::<EnvBundle>(&bytes).map(Some).map_err(|mut problems| {
        let first = problems.pop().map(|problem| problem.to_string()).unwrap_or_default();
        Problem::new(Class::Operator, "registry-entry", format!("the env {base} cannot be read: {first}")).at(at)
    })
}

fn one(
    table: &Table,
    bases: Vec<EnvBundle>,
    environment: &BTreeMap<String, String>,
) -> Result<EnvBundle, Vec<Problem>> {
    let mut fields = Fields::new(table, &KEYS, &[]);
    let names = fields.texts("from_env");
    let mut own = table.clone();
    own.remove("extends");
    own.remove("from_env");
    let bundle = match artifact::<EnvBundle>(own) {
        Ok(bundle) => Some(bundle),
        Err(problems) => {
            problems.into_iter().for_each(|problem| fields.refuse(problem));
            None
        }
    };
    let (mut values, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    for base in bases {
        values.extend(base.values);
        secrets.extend(base.secrets);
    }
    for (i, name) in names.iter().enumerate() {
        match environment.get(name) {
            Some(value) => {
                values.insert(name.clone(), value.clone());
            }
            None => {
                let message = format!("the variable {} is not set here", escape(name));
                let hint = "set it where you run the deploy, or write it under values";
                fields.refuse(
                    Problem::new(Class::Operator, "env-missing", message).at(format!("/from_env/{i}")).hint(hint),
                );
            }
        }
    }
    let mut problems = fields.finish();
    let Some(mut bundle) = bundle else { return Err(problems) };
    values.extend(std::mem::take(&mut bundle.values));
    secrets.extend(std::mem::take(&mut bundle.secrets));
    bundle.values = values;
    bundle.secrets = secrets;
    problems.extend(unsupported(&bundle));
    if problems.is_empty() { Ok(bundle) } else { Err(problems) }
}
