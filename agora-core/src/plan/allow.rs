//! What a plan may say beside its subagent's registration (`docs/registry.md` §6): capabilities, env bundles, a pipeline,
//! a model. All narrow or stand beside; nothing widens what the attempt may do (I15).

use super::check::{Check, texts};
use super::code::Code;
use super::cursor::Place;
use super::model::Inputs;
use super::suggest::{listed, shown};
use crate::id::{Digest, Name};
use crate::limits::{ITEM_CAPABILITIES_MAX, ITEM_ENVS_MAX};
use crate::registry::{EnvBundle, Model, Pipeline, Subagent, unsupported};
use crate::template::Template;

impl<'a> Check<'a> {
    /// The capabilities that the plan itself names, with the digests they have now.
    pub(super) fn capabilities_asked(&mut self, wish: &Inputs, inputs: &Place<'_>) -> Vec<(Name, Digest)> {
        let surroundings = self.surroundings;
        let lists = [
            ("capabilities", wish.capabilities.as_deref().unwrap_or_default()),
            ("addCapabilities", &wish.add_capabilities),
        ];
        let mut asked = Vec::new();
        for (key, list) in lists {
            let place = inputs.key(key);
            for (i, name) in list.iter().enumerate() {
                if let Some(digest) = surroundings.capabilities.get(name) {
                    asked.push((name.clone(), *digest));
                } else {
                    let known = texts(&surroundings.known.capabilities);
                    let kind = ("capability", "capabilities");
                    self.unknown(Code::CapabilityUnknown, &place.index(i), kind, name, known);
                }
            }
        }
        asked
    }

    /// `capabilities` stands instead of the subagent's own. `addCapabilities` comes after them; one that is there
    /// already keeps its place and takes the digest it has now, since the plan asked for it by name.
    pub(super) fn capabilities(
        &mut self,
        wish: &Inputs,
        subagent: &Subagent,
        asked: Vec<(Name, Digest)>,
        inputs: &Place<'_>,
    ) -> Vec<(Name, Digest)> {
        if wish.capabilities.is_some() {
            return asked;
        }
        let mut all: Vec<(Name, Digest)> = subagent.capabilities.iter().map(|c| (c.name.clone(), c.digest)).collect();
        for (name, digest) in asked {
            match all.iter_mut().find(|(there, _)| *there == name) {
                Some(there) => there.1 = digest,
                None => all.push((name, digest)),
            }
        }
        if all.len() > ITEM_CAPABILITIES_MAX {
            let place = inputs.key("addCapabilities");
            self.report.too_large(&place, "with the subagent's own", all.len(), ITEM_CAPABILITIES_MAX, "capabilities");
        }
        all
    }

    pub(super) fn envs(&mut self, wish: &Inputs, subagent: &Subagent, inputs: &Place<'_>) -> Vec<(Name, Digest)> {
        let surroundings = self.surroundings;
        let mut envs: Vec<(Name, Digest)> = Vec::new();
        let own = inputs.key("subagent");
        for name in &subagent.env {
            match surroundings.envs.get(name) {
                Some((digest, bundle)) => {
                    self.bundle_is_supported(bundle, &own);
                    envs.push((name.clone(), *digest));
                }
                None => self.dangling(&own, wish, "env bundle", name.as_str()),
            }
        }
        let added = inputs.key("env");
        for (i, name) in wish.env.iter().enumerate() {
            let place = added.index(i);
            let Some((digest, bundle)) = surroundings.envs.get(name) else {
                let known = texts(&surroundings.known.envs);
                self.unknown(Code::EnvUnknown, &place, ("env bundle", "env bundles"), name, known);
                continue;
            };
            if subagent.env.contains(name) {
                continue;
            }
            if !bundle.secrets.is_empty() && !subagent.may_add_env.contains(name) {
                let subagent_name = &wish.subagent;
                let message = format!(
                    "subagent `{subagent_name}` does not let plans add env bundle `{name}`, which holds secrets"
                );
                let hint = if subagent.may_add_env.is_empty() {
                    "leave it out, or ask the operator for `may_add_env`; bundles without secrets may always be added"
                        .to_owned()
                } else {
                    listed("env bundles that it lets plans add", texts(&subagent.may_add_env))
                };
                self.report.refuse(Code::EnvNotAllowed.problem(place.to_string(), message).hint(hint));
                continue;
            }
            self.bundle_is_supported(bundle, &place);
            envs.push((name.clone(), *digest));
        }
        if envs.len() > ITEM_ENVS_MAX {
            self.report.too_large(&added, "with the subagent's own", envs.len(), ITEM_ENVS_MAX, "env bundles");
        }
        envs
    }

    pub(super) fn bundle_is_supported(&mut self, bundle: &EnvBundle, place: &Place<'_>) {
        if let Some(problem) = unsupported(bundle) {
            self.report.refuse(problem.at(place.to_string()));
        }
    }

    pub(super) fn pipeline(
        &mut self,
        wish: &'a Inputs,
        subagent: &'a Subagent,
        inputs: &Place<'_>,
    ) -> Option<(&'a Name, Digest, &'a Pipeline)> {
        let surroundings = self.surroundings;
        let Some(name) = &wish.pipeline else {
            let name = subagent.pipeline.as_ref()?;
            let found = surroundings.pipelines.get(name).map(|(digest, pipeline)| (name, *digest, pipeline));
            if found.is_none() {
                self.dangling(&inputs.key("subagent"), wish, "pipeline", name.as_str());
            }
            return found;
        };
        let place = inputs.key("pipeline");
        let Some((digest, pipeline)) = surroundings.pipelines.get(name) else {
            let known = texts(&surroundings.known.pipelines);
            self.unknown(Code::PipelineUnknown, &place, ("pipeline", "pipelines"), name, known);
            return None;
        };
        if subagent.pipeline.as_ref() != Some(name) && !subagent.may_use_pipelines.contains(name) {
            let message = format!("subagent `{}` does not let plans choose pipeline `{name}`", wish.subagent);
            let allowed = subagent.may_use_pipelines.iter().chain(&subagent.pipeline);
            let hint = if allowed.clone().next().is_none() {
                "leave `pipeline` out: the subagent uses the default one".to_owned()
            } else {
                listed("pipelines that it lets plans choose", texts(allowed))
            };
            self.report.refuse(Code::PipelineNotAllowed.problem(place.to_string(), message).hint(hint));
        }
        Some((name, *digest, pipeline))
    }

    pub(super) fn model(&mut self, wish: &Inputs, subagent: &Subagent, inputs: &Place<'_>) -> Model {
        let Some(asked) = wish.model.as_ref().filter(|asked| **asked != subagent.model) else {
            return subagent.model.clone();
        };
        let (allowed, hint) = match &subagent.models {
            Some(models) => {
                let all = std::iter::once(&subagent.model).chain(models).map(|model| model.0.as_str());
                (models.contains(asked), listed("models that it lets plans choose", all))
            }
            None => {
                // A provider's own id has no level, so nothing is known to be lower.
                let lower = asked.level().zip(subagent.model.level()).is_some_and(|(asked, own)| asked < own);
                let own = &subagent.model.0;
                let hint = match subagent.model.level() {
                    Some(_) => format!("ask for `{own}` or a lower level of fast, standard, max; or leave `model` out"),
                    None => format!("leave `model` out: the subagent uses {}", shown(own)),
                };
                (lower, hint)
            }
        };
        if !allowed {
            let message = format!("subagent `{}` does not let plans choose model {}", wish.subagent, shown(&asked.0));
            let at = inputs.key("model").to_string();
            self.report.refuse(Code::ModelNotAllowed.problem(at, message).hint(hint));
        }
        asked.clone()
    }

    pub(super) fn template_inputs(&mut self, wish: &Inputs, subagent: &Subagent, inputs: &Place<'_>) {
        let Some(digest) = subagent.template else { return };
        let surroundings = self.surroundings;
        let template = self
            .templates
            .entry(digest)
            .or_insert_with(|| surroundings.templates.get(&digest).and_then(|text| Template::parse(text).ok()));
        let Some(template) = template else {
            self.dangling(&inputs.key("subagent"), wish, "template", &digest.to_string());
            return;
        };
        let missing = template.missing(&wish.worker_input);
        let Some(first) = missing.first() else { return };
        let place = inputs.key("workerInput");
        let message = format!("the template of `{}` needs {}", wish.subagent, quoted(&missing));
        let given = wish.worker_input.as_object();
        let near = given.and_then(|map| self.report.suggest.near(first, map.keys().map(String::as_str)));
        let hint = match near {
            Some(near) => format!("`workerInput` has {}; was {} meant?", shown(near), shown(first)),
            None => format!("add {} to `workerInput`", quoted(&missing)),
        };
        self.report.refuse(Code::InputMissing.problem(place.to_string(), message).hint(hint));
    }
}

fn quoted(names: &[String]) -> String {
    let mut texts: Vec<String> = names.iter().take(10).map(|name| shown(name)).collect();
    if names.len() > texts.len() {
        texts.push(format!("{} more", names.len() - texts.len()));
    }
    texts.join(", ")
}
