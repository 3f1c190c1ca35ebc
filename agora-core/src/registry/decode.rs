//! Bytes to artifact. A reader refuses bytes that it would not have written itself, so each content has one digest.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::artifact::{Capability, EnvBundle, Pipeline, Subagent};
use super::check;
use super::error::RegistryError;
use super::kind::Kind;
use crate::canon;
use crate::error::{Class, Problem};
use crate::id::{Digest, Name};

/// Characters of a parser's message that are shown: it may repeat what was written.
const DETAIL_CHARS_MAX: usize = 300;

/// What the four kinds of content have in common.
pub trait Artifact: Serialize + DeserializeOwned {
    /// Its kind.
    const KIND: Kind;
    /// The one `format` this version reads.
    const FORMAT: &'static str;
    /// Its largest size in bytes: its caps, written in the longest way.
    const BYTES_MAX: usize;

    /// The `format` it carries.
    fn format(&self) -> &str;

    /// Returns everything that is wrong with it, as far as it can be seen without other artifacts and blobs. Never about
    /// credentials: what was accepted once stays readable when the scanner learns a new pattern.
    fn check(&self) -> Vec<Problem>;

    /// Returns what in it looks like a credential. For whoever lets content in.
    fn credentials(&self) -> Vec<Problem>;
}

/// Reads the canonical bytes of an artifact and checks it.
///
/// # Errors
/// Every problem: `limit-exceeded`, `not-canonical`, `format-unknown`, `artifact-shape`, and those of [`Artifact::check`].
pub fn decode<T: Artifact>(bytes: &[u8]) -> Result<T, Vec<Problem>> {
    let artifact: T = parse(bytes).map_err(|problem| vec![problem])?;
    let problems = artifact.check();
    if problems.is_empty() { Ok(artifact) } else { Err(problems) }
}

/// Reads the artifact that an entry names from the bytes of its blob.
///
/// # Errors
/// `registry-entry`: there are no bytes, or they are not those of the digest, or no artifact of this kind.
pub fn read_entry<T: Artifact>(name: &Name, digest: &Digest, bytes: Option<&[u8]>) -> Result<T, RegistryError> {
    let entry = format!("{} {name}", T::KIND);
    let Some(bytes) = bytes else {
        return Err(RegistryError::Entry { entry, why: format!("the blob {digest} is missing") });
    };
    let found = Digest::of(bytes);
    if found != *digest {
        return Err(RegistryError::Entry { entry, why: format!("the blob {digest} has other bytes: {found}") });
    }
    decode(bytes).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        RegistryError::Entry { entry, why: format!("{first}, {} in all", problems.len()) }
    })
}

fn parse<T: Artifact>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.len() > T::BYTES_MAX {
        let what = format!("the manifest of a {}", T::KIND);
        return Err(check::over(&what, "artifact_bytes_max", T::BYTES_MAX as u64, bytes.len() as u64));
    }
    let value: Value = canon::from_bytes(bytes).map_err(|e| not_canonical(T::KIND, &e.to_string()))?;
    match value.get("format").and_then(Value::as_str) {
        Some(format) if format == T::FORMAT => {}
        other => return Err(format_unknown::<T>(other.unwrap_or("absent"))),
    }
    let unread = extra_members_of_agent_blocks(&value);
    let artifact: T = serde_json::from_value(value).map_err(|e| shape(T::KIND, &e.to_string()))?;
    if let Some(at) = unread {
        return Err(shape(T::KIND, "a block of kind `agent` has no members besides `kind`").at(at));
    }
    let again = canon::to_bytes(&artifact).map_err(|e| not_canonical(T::KIND, &e.to_string()))?;
    if again != bytes {
        return Err(not_canonical(T::KIND, "a member that stands at its default must be absent"));
    }
    Ok(artifact)
}

/// serde reads a unit variant of a tagged enum without looking at other members, whatever `deny_unknown_fields` says.
fn extra_members_of_agent_blocks(value: &Value) -> Option<String> {
    let blocks = value.get("blocks")?.as_array()?;
    let at = blocks.iter().position(|block| {
        block.get("kind").and_then(Value::as_str) == Some("agent") && block.as_object().is_some_and(|b| b.len() > 1)
    })?;
    Some(format!("/blocks/{at}"))
}

fn detail(text: &str) -> String {
    text.chars().take(DETAIL_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn not_canonical(kind: Kind, why: &str) -> Problem {
    Problem::new(Class::Operator, "not-canonical", format!("the {kind} is not the bytes agora writes: {}", detail(why)))
        .hint("register it again with agora-admin; do not edit stored artifacts")
}

fn shape(kind: Kind, why: &str) -> Problem {
    Problem::new(Class::Operator, "artifact-shape", format!("the {kind} has another shape: {}", detail(why)))
        .hint("docs/registry.md lists every field")
}

fn format_unknown<T: Artifact>(given: &str) -> Problem {
    Problem::new(Class::Operator, "format-unknown", format!("the format {:?} is not {:?}", detail(given), T::FORMAT))
        .at("/format")
        .hint("it was written by another version of agora, or is no artifact of this kind")
}

macro_rules! decoders {
    ($($(#[$doc:meta])* $name:ident -> $type:ty,)*) => {
        $($(#[$doc])*
        ///
        /// # Errors
        /// As [`decode`].
        pub fn $name(bytes: &[u8]) -> Result<$type, Vec<Problem>> {
            decode(bytes)
        })*
    };
}

decoders! {
    /// Reads and checks a capability's manifest.
    decode_capability -> Capability,
    /// Reads and checks a subagent.
    decode_subagent -> Subagent,
    /// Reads and checks an env bundle. One with secrets decodes; [`crate::registry::unsupported`] says what of it cannot
    /// be done yet.
    decode_env -> EnvBundle,
    /// Reads and checks a pipeline.
    decode_pipeline -> Pipeline,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subagent() -> Value {
        json!({"argv": ["true"], "format": "agora-subagent/v1", "runtime": "command", "targets": ["*"],
            "template": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"})
    }

    fn code<T: Artifact>(value: &Value) -> String {
        let bytes = canon::to_bytes(value).unwrap();
        match decode::<T>(&bytes) {
            Ok(_) => "ok".to_owned(),
            Err(problems) => problems[0].code.clone(),
        }
    }

    fn with(mut value: Value, name: &str, member: Value) -> Value {
        value[name] = member;
        value
    }

    #[test]
    fn only_the_bytes_agora_writes_are_read() {
        assert_eq!(code::<Subagent>(&subagent()), "ok");
        for (change, expected) in [
            (("format", json!("agora-subagent/v2")), "format-unknown"),
            (("format", json!("agora-env/v1")), "format-unknown"),
            (("format", json!(1)), "format-unknown"),
            (("unknown", json!(1)), "artifact-shape"),
            (("egress", json!([])), "artifact-shape"),
            (("permission_mode", json!("lax")), "artifact-shape"),
            (("permission_mode", json!("Bypass")), "artifact-shape"),
            (("permission_mode", json!("bypass")), "ok"),
            (("permission_mode", json!("strict")), "not-canonical"),
            (("may_ask", json!(true)), "not-canonical"),
            (("may_ask", json!(false)), "ok"),
            (("about", Value::Null), "not-canonical"),
            (("runtime", json!("bash")), "artifact-shape"),
        ] {
            assert_eq!(code::<Subagent>(&with(subagent(), change.0, change.1.clone())), expected, "{change:?}");
        }
        let spaced = canon::to_bytes(&subagent()).unwrap().into_iter().chain(*b"\n").collect::<Vec<_>>();
        assert_eq!(decode_subagent(&spaced).unwrap_err()[0].code, "not-canonical");
        assert_eq!(decode_subagent(b"{").unwrap_err()[0].code, "not-canonical");
        assert_eq!(decode_subagent(b"[]").unwrap_err()[0].code, "format-unknown");
    }

    #[test]
    fn an_agent_block_has_one_member() {
        let pipeline = |block: Value| json!({"blocks": [block], "format": "agora-pipeline/v1"});
        assert_eq!(code::<Pipeline>(&pipeline(json!({"kind": "agent"}))), "ok");
        assert_eq!(code::<Pipeline>(&pipeline(json!({"kind": "agent", "lens": "gate"}))), "artifact-shape");
        assert_eq!(code::<Pipeline>(&pipeline(json!({"kind": "seal"}))), "artifact-shape");
    }

    #[test]
    fn the_size_is_bounded_before_anything_is_parsed() {
        let problem = &decode_pipeline(&vec![b' '; Pipeline::BYTES_MAX + 1]).unwrap_err()[0];
        assert_eq!((problem.code.as_str(), problem.message.contains("artifact_bytes_max")), ("limit-exceeded", true));
        assert_eq!(decode_pipeline(&vec![b' '; Pipeline::BYTES_MAX]).unwrap_err()[0].code, "not-canonical");
    }

    #[test]
    fn one_content_has_one_spelling() {
        let bytes = canon::to_bytes(&subagent()).unwrap();
        assert_eq!(canon::to_bytes(&decode_subagent(&bytes).unwrap()).unwrap(), bytes);
        let env = json!({"format": "agora-env/v1", "secrets": {"KEY": {"deliver": "broker", "secret": "k",
            "route": {"header": "x-api-key: {}", "host": "api.example", "methods": ["POST"], "paths": ["/v1/"]}}}});
        assert_eq!(code::<EnvBundle>(&env), "ok");
    }

    #[test]
    fn an_entry_is_read_from_exactly_its_blob() {
        let bytes = canon::to_bytes(&subagent()).unwrap();
        let (name, digest) = (Name::new("code-edit").unwrap(), Digest::of(&bytes));
        assert!(read_entry::<Subagent>(&name, &digest, Some(&bytes)).is_ok());
        for (digest, given) in
            [(digest, None), (Digest::of(b""), Some(bytes.as_slice())), (Digest::of(b"{}"), Some(b"{}".as_slice()))]
        {
            let error = read_entry::<Subagent>(&name, &digest, given).unwrap_err();
            assert!(matches!(&error, RegistryError::Entry { entry, .. } if entry == "subagent code-edit"), "{error}");
        }
        assert!(read_entry::<Pipeline>(&name, &digest, Some(&bytes)).is_err());
    }
}
