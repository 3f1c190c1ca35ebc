//! Plans in the shape of the reference system are read unchanged (U06), and their normal form reads to itself.

use agora_core::id::Digest;
use agora_core::plan::{Plan, Select, overview, parse};

const FIXTURES: &[(&str, &str, usize, &[&str])] = &[
    ("minimal", include_str!("fixtures/minimal.json"), 1, &[]),
    ("fan-out", include_str!("fixtures/fan-out.json"), 4, &["/items/2/trigger", "/trigger"]),
    ("hand-off", include_str!("fixtures/hand-off.json"), 3, &[]),
    ("migration", include_str!("fixtures/migration.json"), 4, &["/items/0/trigger", "/items/3/trigger"]),
];

fn plan(name: &str) -> Plan {
    let Some((_, text, ..)) = FIXTURES.iter().find(|(fixture, ..)| *fixture == name) else {
        panic!("there is no fixture {name}");
    };
    parse(text.as_bytes()).plan
}

#[test]
fn plans_of_the_reference_system_parse_unchanged() {
    for (name, text, items, warned) in FIXTURES {
        let parsed = parse(text.as_bytes());
        assert_eq!(parsed.problems, [], "{name}");
        assert_eq!(parsed.plan.items.len(), *items, "{name}");
        let places: Vec<_> = parsed.warnings.iter().filter_map(|warning| warning.at.as_deref()).collect();
        assert_eq!(places, *warned, "{name}");
        assert!(parsed.warnings.iter().all(|warning| warning.code == "key-ignored"), "{name}");
    }
}

#[test]
fn the_normal_form_is_a_plan_and_reads_to_itself() {
    for (name, text, ..) in FIXTURES {
        let plan = parse(text.as_bytes()).plan;
        let bytes = plan.to_bytes().unwrap();
        assert_eq!(Plan::from_bytes(&bytes).as_ref(), Ok(&plan), "{name}");
        let again = parse(&bytes);
        assert_eq!((again.problems, again.warnings), (vec![], vec![]), "{name}");
        assert_eq!(again.plan, plan, "{name}");
        assert_eq!(plan.digest(), Ok(Digest::of(&bytes)), "{name}");
        // Another spelling of the same plan: same digest. A stored plan has one spelling only.
        let pretty = serde_json::to_vec_pretty(&plan.to_value()).unwrap();
        assert_eq!(parse(&pretty).plan.digest(), plan.digest(), "{name}");
        assert_eq!(Plan::from_bytes(&pretty).unwrap_err().to_string(), "the stored plan is not in its normal form");
    }
}

#[test]
fn the_normal_form_of_the_smallest_plan_has_every_default() {
    let bytes = plan("minimal").to_bytes().unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        concat!(
            r#"{"items":[{"depends_on":[],"executor":"dispatch","id":"hello","#,
            r#""inputs":{"subagent":"greeter","workerInput":{}},"needs":{},"priority":0,"resourceLocks":[],"#,
            r#""retry":{"backoff_seconds":2,"max_attempts":2}}],"labels":{},"openEnded":false,"queue":"default"}"#
        )
    );
}

#[test]
fn needs_become_dependencies_once_and_after_those_given() {
    let plan = plan("hand-off");
    let on: Vec<Vec<&str>> =
        plan.items.iter().map(|item| item.depends_on.iter().map(|id| id.as_str()).collect()).collect();
    assert_eq!(on, [vec![], vec!["scan"], vec!["fix~1", "scan"]]);
    assert_eq!(plan.items[1].needs["report"].select, Select::Output { path: "report.json".to_owned() });
    let applies = |at: usize| plan.items[at].inputs().is_some_and(|inputs| inputs.apply_upstream);
    assert!(applies(1) && !applies(2));
}

#[test]
fn an_overview_shows_layers_the_longest_chain_and_contention() {
    let seen = overview(&plan("fan-out"));
    let texts = |ids: &[agora_core::id::ItemId]| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        seen.layers.iter().map(|ids| texts(ids)).collect::<Vec<_>>(),
        [vec!["edit-alpha", "edit-beta", "edit-gamma"], vec!["verify"]]
    );
    assert_eq!(texts(&seen.critical_path), ["edit-alpha", "verify"]);
    assert_eq!(seen.contention.len(), 1);
    assert_eq!(texts(&seen.contention["package.json"]), ["edit-beta", "edit-gamma"]);
}
