//! Names of tools that are none: what other orchestrators call the same thing, or a slip of the pen.

use agora_core::error::{Class, Problem, nearest};
use agora_engine::operations::OpError;
use rmcp::ErrorData;

use super::Tools;
use crate::error;

/// Characters of a name that an answer quotes.
const QUOTED_CHARS_MAX: usize = 64;

/// What other orchestrators call it, and what it is called here.
const FOREIGN: &[(&str, &str)] = &[
    ("start_worker", "dispatch"),
    ("spawn_worker", "dispatch"),
    ("spawn_agent", "dispatch"),
    ("run_agent", "dispatch"),
    ("start_agent", "dispatch"),
    ("create_task", "dispatch"),
    ("delegate", "dispatch"),
    ("task", "dispatch"),
    ("start_run", "submit"),
    ("create_run", "submit"),
    ("submit_plan", "submit"),
    ("submit_run", "submit"),
    ("run_plan", "submit"),
    ("validate_plan", "submit"),
    ("start_workflow", "submit"),
    ("run_workflow", "submit"),
    ("get_run", "status"),
    ("get_status", "status"),
    ("get_run_status", "status"),
    ("run_status", "status"),
    ("list_runs", "status"),
    ("list_items", "status"),
    ("list_workers", "status"),
    ("get_worker", "status"),
    ("get_task", "status"),
    ("wait", "watch"),
    ("wait_for_run", "watch"),
    ("wait_for_event", "watch"),
    ("poll", "watch"),
    ("subscribe", "watch"),
    ("get_result", "result"),
    ("get_output", "result"),
    ("get_patch", "result"),
    ("get_logs", "result"),
    ("get_artifact", "result"),
    ("list_agents", "catalog"),
    ("list_subagents", "catalog"),
    ("list_capabilities", "catalog"),
    ("list_tools", "catalog"),
    ("search", "catalog"),
    ("reply", "answer"),
    ("respond", "answer"),
    ("answer_question", "answer"),
    ("send_input", "answer"),
    ("approve", "answer"),
    ("resume", "answer"),
    ("resume_run", "answer"),
    ("stop", "cancel"),
    ("stop_run", "cancel"),
    ("stop_worker", "cancel"),
    ("cancel_run", "cancel"),
    ("cancel_task", "cancel"),
    ("kill_worker", "cancel"),
    ("pause_run", "cancel"),
    ("verify", "audit"),
    ("verify_run", "audit"),
    ("get_audit", "audit"),
    ("audit_run", "audit"),
];

/// Returns the protocol's answer to a call of a tool that is none, with the name to use.
pub(crate) fn unknown_tool(tools: &Tools, name: &str) -> ErrorData {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(QUOTED_CHARS_MAX).collect();
    let nine = || tools.entries.iter().map(|entry| &*entry.tool.name);
    let wanted = name.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    let here = FOREIGN
        .iter()
        .find(|(foreign, _)| *foreign == wanted)
        .map(|(_, here)| *here)
        .or_else(|| nearest(&wanted, nine()));
    let hint = match here {
        Some(here) => format!("call {here}"),
        None => format!("there are {}", nine().collect::<Vec<_>>().join(", ")),
    };
    let problem = Problem::new(Class::Caller, "unknown-tool", format!("there is no tool {shown:?}"));
    error::protocol_error(&OpError::one(problem.hint(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_gets_the_one_that_is() {
        let tools = Tools::new().unwrap();
        for (name, hint) in [
            ("start_worker", "Hint: call dispatch"),
            ("get-run", "Hint: call status"),
            ("sumbit", "Hint: call submit"),
            ("qqqqqqqqqqqq", "Hint: there are catalog, dispatch"),
        ] {
            let error = unknown_tool(&tools, name);
            assert!(error.message.contains(hint), "{}", error.message);
            assert_eq!(error.code.0, -32602);
        }
    }

    #[test]
    fn every_foreign_name_leads_to_a_tool_and_none_is_one() {
        let tools = Tools::new().unwrap();
        for (foreign, here) in FOREIGN {
            assert!(tools.get(here).is_some() && tools.get(foreign).is_none(), "{foreign} {here}");
        }
    }
}
