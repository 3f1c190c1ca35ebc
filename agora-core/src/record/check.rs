//! What a body must be beyond the types of its members (`docs/audit.md` §2): members that come together, lists in order,
//! words of lists that later versions may lengthen, bounded text.
//!
//! Asked before an entry is written and after one is read, so that neither side can meet what the other would refuse.
//! What a record means where it stands is the transition table's to judge, in [`crate::state`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::words::{CancelScope, InputUse, OutcomeWord};
use super::{
    Added, AttemptFinished, AttemptLeased, AttemptStarted, CancelRequested, KeyRecord, LogRecord, Record, UsedInput,
};
use crate::id::{Enc, Word};
use crate::isolation::Isolation;
use crate::worker::{FailureClass, Reason};

/// Bytes of a `text`, which agora writes itself: a sentence.
const TEXT_BYTES_MAX: usize = 256;
/// How a secret reaches an attempt.
const DELIVER: [&str; 3] = ["broker", "file", "env"];
/// Who keeps the private half of a key.
const CUSTODY: [&str; 4] = ["file", "passphrase", "kms", "offline"];

/// A body that is asked whether it is well-formed.
pub(super) trait Checked {
    /// Says what is wrong, naming the member.
    fn check(&self) -> Result<(), String>;
}

impl Checked for Record {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::ItemsAdded(body) => added(body),
            Self::RunLogged(body) => base64("sig", &body.sig),
            Self::AttemptLeased(body) => leased(body),
            Self::AttemptStarted(body) => started(body),
            Self::AttemptFinished(body) => finished(body),
            Self::ItemDone { finished, answered, .. } => {
                when(finished.is_some() == answered.is_some(), "exactly one of finished and answered is given")
            }
            Self::ItemFailed { class, reason, detail, finished, answered, .. } => {
                when(finished.is_some() && answered.is_some(), "at most one of finished and answered is given")?;
                detail.as_ref().map_or(Ok(()), |detail| text("detail", detail))?;
                fits(*class, *reason)
            }
            Self::ItemRetried { class, reason, .. } => fits(*class, *reason),
            Self::CancelRequested(body) => cancel(body),
            Self::RunOpened(_)
            | Self::ItemReady { .. }
            | Self::ItemWaiting { .. }
            | Self::ItemSkipped { .. }
            | Self::ItemCancelled { .. }
            | Self::ItemDenied { .. }
            | Self::QuestionAsked(_)
            | Self::QuestionAnswered(_)
            | Self::HoldSet { .. }
            | Self::HoldReleased { .. }
            | Self::PatternFailed { .. }
            | Self::RunClosed {}
            | Self::RunCompleted(_) => Ok(()),
        }
    }
}

impl Checked for LogRecord {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::LogOpened { keys, .. } => keys.iter().try_for_each(key),
            Self::KeyAdded(body) => key(body),
            Self::KeyRotated { key, custody, old, sig_old, sig_new, .. } => {
                one_of("custody", custody, &CUSTODY)?;
                for (member, value) in [("key", key), ("old", old), ("sig_old", sig_old), ("sig_new", sig_new)] {
                    base64(member, value)?;
                }
                Ok(())
            }
            Self::KeyRevoked { key, .. } => base64("key", key),
            Self::RunOpened { .. }
            | Self::RunSealed { .. }
            | Self::RegistryAccepted { .. }
            | Self::RegistryRefused { .. }
            | Self::AnchorReceipt { .. }
            | Self::ClockJump { .. } => Ok(()),
        }
    }
}

fn when(wrong: bool, what: &str) -> Result<(), String> {
    if wrong { Err(what.to_owned()) } else { Ok(()) }
}

fn added(body: &Added) -> Result<(), String> {
    for item in &body.items {
        let beyond = item.uses.iter().any(|at| usize::try_from(*at).map_or(true, |at| at >= body.resolved.len()));
        when(beyond, "uses points beyond resolved")?;
        for need in &item.needs {
            let fits = match need.usage {
                InputUse::Patch => need.path.is_none(),
                InputUse::Output => need.path.is_some(),
                InputUse::Answer | InputUse::Ref => false,
            };
            when(!fits, "a need is of a patch, or of an output with a path")?;
        }
    }
    Ok(())
}

fn leased(body: &AttemptLeased) -> Result<(), String> {
    when(body.attempt == 0, "attempts count from 1")?;
    body.inputs.iter().try_for_each(input)
}

fn input(input: &UsedInput) -> Result<(), String> {
    let UsedInput { item, done, path, .. } = input;
    let fits = match input.usage {
        InputUse::Patch => item.is_some() && done.is_some() && path.is_none(),
        InputUse::Output => item.is_some() && done.is_some() && path.is_some(),
        InputUse::Answer => item.is_some(),
        InputUse::Ref => item.is_none() && done.is_none(),
    };
    when(!fits, "an input does not have the members of its use")
}

fn started(body: &AttemptStarted) -> Result<(), String> {
    body.secrets.iter().try_for_each(|secret| one_of("deliver", &secret.deliver, &DELIVER))?;
    isolation(&body.isolation)
}

/// The members of the report that a rule of `docs/audit.md` reads; the others are shown as they are.
fn isolation(report: &Isolation) -> Result<(), String> {
    for word in [&report.provider, &report.network.mode, &report.network.boundary] {
        when(Word::new(word.as_str()).is_err(), "isolation has a provider, mode or boundary that is no word")?;
    }
    for name in std::iter::once(&report.profile).chain(&report.probes.failed) {
        when(Enc::new(name.as_str()).is_err(), "isolation has a profile or probe that is no name")?;
    }
    report.weaker.iter().try_for_each(|weaker| text("isolation.weaker", weaker))
}

fn finished(body: &AttemptFinished) -> Result<(), String> {
    let why = match (body.class, body.reason) {
        (Some(class), Some(reason)) => {
            fits(class, reason)?;
            true
        }
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => return Err("class and reason come together".to_owned()),
    };
    let wants_why = match body.outcome {
        OutcomeWord::Failed | OutcomeWord::Cancelled | OutcomeWord::Lost => true,
        OutcomeWord::Done | OutcomeWord::NeedsInput => false,
    };
    when(why != wants_why, "class and reason are given exactly when failed, cancelled or lost")?;
    let ascending = body.outputs.is_sorted_by(|one, next| one.path < next.path);
    when(!ascending, "outputs are not ascending by path")
}

fn cancel(body: &CancelRequested) -> Result<(), String> {
    let fits = match body.scope {
        CancelScope::Run => body.item.is_none() && body.attempt.is_none(),
        CancelScope::Item => body.item.is_some() && body.attempt.is_none(),
        CancelScope::Attempt => body.item.is_some() && body.attempt.is_some(),
    };
    when(!fits, "item and attempt are given as the scope says")
}

fn key(key: &KeyRecord) -> Result<(), String> {
    one_of("custody", &key.custody, &CUSTODY)?;
    base64("key", &key.key)
}

fn fits(class: FailureClass, reason: Reason) -> Result<(), String> {
    if reason.class() == class { Ok(()) } else { Err(format!("the reason {} is of another class", reason.as_str())) }
}

fn one_of(member: &str, word: &Word, list: &[&str]) -> Result<(), String> {
    if list.contains(&word.as_str()) { Ok(()) } else { Err(format!("{member} is none of {}", list.join(", "))) }
}

fn text(member: &str, text: &str) -> Result<(), String> {
    let fits = text.len() <= TEXT_BYTES_MAX && text.bytes().all(|b| (0x20..=0x7E).contains(&b));
    if fits { Ok(()) } else { Err(format!("{member} is not printable ASCII of at most {TEXT_BYTES_MAX} bytes")) }
}

/// Standard base64, padded, spare bits zero: one spelling, so that equal bytes are equal text.
fn base64(member: &str, text: &str) -> Result<(), String> {
    STANDARD.decode(text).map(|_| ()).map_err(|_| format!("{member} is not standard base64"))
}
