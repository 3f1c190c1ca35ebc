//! The next call, as it can be sent: made from the arguments' own types, so that what is told is what is taken.

use serde::Serialize;
use serde_json::Value;

use super::{AnswerArgs, AuditArgs, ResultArgs, StatusArgs, WatchArgs};

/// Arguments of a tool that replies and errors name as the next call.
pub(super) trait Call: Serialize {
    /// The tool.
    const TOOL: &'static str;

    /// The call: the tool's name and the arguments that are given, as JSON.
    fn call(&self) -> String {
        // Plain data with names for keys always has a form.
        let mut arguments = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(members) = &mut arguments {
            members.retain(|_, value| !value.is_null());
        }
        format!("{} {arguments}", Self::TOOL)
    }
}

impl Call for AnswerArgs {
    const TOOL: &'static str = "answer";
}

impl Call for AuditArgs {
    const TOOL: &'static str = "audit";
}

impl Call for ResultArgs {
    const TOOL: &'static str = "result";
}

impl Call for StatusArgs {
    const TOOL: &'static str = "status";
}

/// The call that closes an open-ended run.
pub(super) fn close(run_id: &str) -> String {
    format!("submit {}", serde_json::json!({ "close": true, "extend": { "run_id": run_id } }))
}

impl Call for WatchArgs {
    const TOOL: &'static str = "watch";
}

#[cfg(test)]
mod tests {
    use super::super::{Part, Until, View};
    use super::*;

    #[test]
    fn a_call_is_the_tool_and_what_is_given() {
        let some = |text: &str| Some(text.to_owned());
        let result =
            ResultArgs { run_id: "r".into(), item_id: some("a"), part: Some(Part::Log), ..ResultArgs::default() };
        assert_eq!(result.call(), r#"result {"item_id":"a","part":"log","run_id":"r"}"#);
        let watch = WatchArgs { run_ids: Some(vec!["r".into()]), until: Some(Until::Terminal), ..WatchArgs::default() };
        assert_eq!(watch.call(), r#"watch {"run_ids":["r"],"until":"terminal"}"#);
        assert_eq!(
            StatusArgs { view: Some(View::Inbox), ..StatusArgs::default() }.call(),
            r#"status {"view":"inbox"}"#
        );
        assert_eq!(AnswerArgs { run_id: "r".into(), ..AnswerArgs::default() }.call(), r#"answer {"run_id":"r"}"#);
        assert_eq!(AuditArgs { run_id: "r".into(), full: None }.call(), r#"audit {"run_id":"r"}"#);
    }
}
