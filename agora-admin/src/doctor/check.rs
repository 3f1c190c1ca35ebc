//! What a check says.

use agora_core::error::{Class, Problem};
use serde::Serialize;

/// How a check went, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Fine.
    Ok,
    /// Worth mending; everything works.
    Warn,
    /// It could not be found out.
    Unknown,
    /// Something does not work, or a promise is broken.
    Fail,
}

impl Status {
    /// All of them, from good to bad.
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Unknown, Self::Fail];

    /// The word that is shown.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }
}

/// One line of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    check: &'static str,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn new(check: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self { check, status, detail: detail.into(), code: None, remedy: None }
    }

    /// It is fine.
    pub(crate) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, detail)
    }

    /// It is worth mending.
    pub(crate) fn warn(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Status::Warn, detail) }
    }

    /// It could not be found out.
    pub(crate) fn unknown(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Status::Unknown, detail) }
    }

    /// It does not work.
    pub(crate) fn fail(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Status::Fail, detail) }
    }

    /// It does not work, as an error says; what may work later could not be found out.
    pub(crate) fn problem(check: &'static str, problem: &Problem) -> Self {
        let status = if problem.class == Class::Later { Status::Unknown } else { Status::Fail };
        let at = problem.at.as_ref().map(|at| format!(" (at {at})")).unwrap_or_default();
        Self {
            code: Some(problem.code.clone()),
            remedy: problem.hint.clone(),
            ..Self::new(check, status, format!("{}{at}", problem.message))
        }
    }

    /// Something that is told with the code of its own does not go on.
    pub(crate) fn warn_of(check: &'static str, code: &str, detail: String, remedy: Option<String>) -> Self {
        Self { code: Some(code.to_owned()), remedy, ..Self::new(check, Status::Warn, detail) }
    }

    /// As the engine says it.
    pub(crate) fn with(check: &'static str, status: Status, detail: String, remedy: Option<String>) -> Self {
        Self { remedy, ..Self::new(check, status, detail) }
    }

    /// The code of the error that it says.
    pub(crate) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// What is looked at.
    pub(crate) fn name(&self) -> &'static str {
        self.check
    }

    /// How it went.
    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// Whether it is fine.
    pub(crate) fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// What was found.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What to do.
    pub(crate) fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_work_later_is_unknown_and_what_has_to_be_mended_fails() {
        let status = |class| Check::problem("store", &Problem::new(class, "store-x", "x")).status();
        assert_eq!(status(Class::Later), Status::Unknown);
        assert_eq!((status(Class::Operator), status(Class::Bug)), (Status::Fail, Status::Fail));
    }
}
