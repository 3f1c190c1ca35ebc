use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Coded as _;

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn agora() -> AgoraVars {
    AgoraVars {
        run: "r1".into(),
        item: "edit".into(),
        attempt: 2,
        inputs: [("patch".to_owned(), "inputs/patch".to_owned())].into(),
        answer: None,
        partial_state: None,
    }
}

fn render(text: &str, input: Value) -> Result<String, String> {
    template(text).render(&input, &agora()).map_err(|e| e.code().to_owned())
}

#[test]
fn input_and_agora_are_what_a_template_sees() {
    for (text, input, expected) in [
        ("Edit {{ file }}.\n", json!({"file": "a.ts"}), "Edit a.ts.\n"),
        ("{{ a.b[1] }}", json!({"a": {"b": [1, 2]}}), "2"),
        ("{% for f in files %}- {{ f }}\n{% endfor %}", json!({"files": ["a", "b"]}), "- a\n- b\n"),
        (
            "{{ agora.run }}/{{ agora.item }}#{{ agora.attempt }} {{ agora.inputs.patch }}",
            json!({}),
            "r1/edit#2 inputs/patch",
        ),
        ("{% if agora.answer %}{{ agora.answer }}{% else %}first{% endif %}", json!({}), "first"),
        ("{{ agora.run }}", json!({"agora": {"run": "forged"}}), "r1"),
        ("{{ x | default('none given') }}", json!({}), "none given"),
        ("{% if x is defined %}{{ x }}{% endif %}", json!({}), ""),
        ("{{ text }}", json!({"text": "<b> & {{ agora.run }} {% raw %}"}), "<b> & {{ agora.run }} {% raw %}"),
        ("{{ v | tojson }}", json!({"v": {"b": [1, "<"], "a": null}}), r#"{"a":null,"b":[1,"<"]}"#),
        (
            "{{ v | join(', ') }}|{{ 'aXb' | replace('X', '--') }}|{{ 'a\nb\n' | indent(2) }}",
            json!({"v": ["x", 1]}),
            "x, 1|a--b|a\n  b\n",
        ),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", json!({}), "012"),
    ] {
        assert_eq!(render(text, input.clone()).as_deref(), Ok(expected), "{text} {input}");
    }
    let answered = AgoraVars { answer: Some("yes".into()), partial_state: Some(json!({"step": 3})), ..agora() };
    let text = "{{ agora.answer }} {{ agora.partial_state.step }}";
    assert_eq!(template(text).render(&json!({}), &answered).as_deref(), Ok("yes 3"));
}

#[test]
fn what_is_undefined_is_an_error() {
    for text in [
        "{{ x }}",
        "{{ a.x }}",
        "{% for i in x %}{% endfor %}",
        "{% if x %}{% endif %}",
        "{{ 'a' ~ x }}",
        "{{ agora.inputs.other }}",
        "{{ [x] | join }}",
    ] {
        assert_eq!(render(text, json!({"a": {}})), Err("input-missing".to_owned()), "{text}");
        assert!(render(text, json!({"a": {"x": 1}, "x": ["1"]})).is_ok() || text.contains("inputs"), "{text}");
    }
}

#[test]
fn templates_are_checked_when_they_are_parsed() {
    for (text, code) in [
        ("{{ x", "template-syntax"),
        ("{% include 'a' %}", "template-syntax"),
        ("{% import 'a' as b %}", "template-syntax"),
        ("{% extends 'a' %}", "template-syntax"),
        ("{% macro a() %}{% endmacro %}", "template-syntax"),
        ("{{ x | shell }}", "template-unknown"),
        ("{{ x | format('1') }}", "template-unknown"),
        ("{% for f in files %}{{ f | shell }}{% endfor %}", "template-unknown"),
        ("{{ x is odder }}", "template-unknown"),
        ("{{ agora.answr }}", "template-unknown"),
    ] {
        let problem = Template::parse(text).unwrap_err();
        assert_eq!(problem.code, code, "{text}: {problem}");
        assert!(problem.hint.is_some());
    }
    assert_eq!(Template::parse("{{ agora.answr }}").unwrap_err().hint.as_deref(), Some("did you mean agora.answer?"));
    assert!(Template::parse("a\n{{ x").unwrap_err().message.starts_with("line 2"));
    assert!(Template::parse("{{ x | upper }} {{ y is odd }} {% set z = 1 %}{{ z }}").is_ok());
    assert!(Template::parse(&"x".repeat(TEMPLATE_BYTES_MAX)).is_ok());
    assert_eq!(Template::parse(&"x".repeat(TEMPLATE_BYTES_MAX + 1)).unwrap_err().code, "limit-exceeded");
}

#[test]
fn variables_are_the_names_of_the_input() {
    let text = "{% set a = b %}{{ a }}{% for c in d %}{{ c.e }}{% endfor %}{{ agora.run }}{{ range(2) }}{{ f.g }}";
    assert_eq!(template(text).variables().into_iter().collect::<Vec<_>>(), ["b", "d", "f"]);
}

#[test]
fn what_is_missing_is_named() {
    for (text, input, expected) in [
        ("{{ a }} {{ b }}", json!({}), vec!["a", "b"]),
        ("{{ a }} {{ b }}", json!({"a": 1}), vec!["b"]),
        ("{{ a }} {{ b }}", json!({"a": 1, "b": null}), vec![]),
        ("{{ a | default('x') }} {{ b }}", json!({}), vec!["b"]),
        ("{% if a is defined %}{{ a }}{% endif %}", json!({}), vec![]),
        ("{% if a %}{{ b }}{% endif %}", json!({"a": false}), vec![]),
        ("{% if a %}{{ b }}{% endif %}", json!({"a": true}), vec!["b"]),
        ("{{ user.name }} {{ user.mail }}", json!({"user": {"name": "n"}}), vec!["user.mail"]),
        ("{{ user.name }} {{ user.mail }}", json!({}), vec!["user"]),
        ("{{ user.name }}", json!({"user": "text"}), vec!["user.name"]),
        (
            "{% for f in files %}{{ f.path }}{% endfor %}",
            json!({"files": [{}]}),
            vec!["what line 1 of the template uses"],
        ),
        ("{{ agora.answer }} {{ agora.inputs.anything }}", json!({}), vec![]),
        ("{{ a }}", json!("text"), vec!["a"]),
        ("{{ a }}", Value::Null, vec!["a"]),
    ] {
        assert_eq!(template(text).missing(&input), expected, "{text} {input}");
    }
    let many: String = (0..100).map(|i| format!("{{{{ v{i:03} }}}}")).collect();
    assert_eq!(template(&many).missing(&json!({})).len(), 100);
}

#[test]
fn steps_and_sizes_are_bounded() {
    let list = |n: usize| json!({"list": vec![0; n], "text": "x".repeat(1_000)});
    let nested = "{% for a in list %}{% for b in list %}{% if a %}x{% endif %}{% endfor %}{% endfor %}";
    assert_eq!(render(nested, list(10)).as_deref(), Ok(""));
    assert_eq!(render(nested, list(1_000)), Err("template-fuel".to_owned()));
    let long = "{% for a in list %}{{ text }}{% endfor %}";
    assert_eq!(render(long, list(262)).map(|m| m.len()), Ok(262_000));
    assert_eq!(render(long, list(263)), Err("message-too-large".to_owned()));
    assert_eq!(render(&"x".repeat(TEMPLATE_BYTES_MAX), json!({})).map(|m| m.len()), Ok(MESSAGE_BYTES_MAX));
    for text in ["{{ text | replace('x', text) }}", "{{ list | join(text) }}", "{{ text | replace('', text) }}"] {
        assert!(render(text, list(2)).is_ok() || text.contains("replace"), "{text}");
        assert_eq!(
            render(text, json!({"list": vec!["a"; 1_000], "text": "x".repeat(1_000)})),
            Err("template-failed".to_owned())
        );
    }
    assert_eq!(render("{{ 'a' | indent(257) }}", json!({})), Err("template-failed".to_owned()));
}

#[test]
fn without_a_template_the_message_is_the_input() {
    let message = |input| message_without_template(&input);
    assert_eq!(message(json!({"prompt": "Do it", "x": 1})).as_deref(), Ok("Do it"));
    assert_eq!(message(json!({"prompt": {"a": 1}})).as_deref(), Ok(r#"{"prompt":{"a":1}}"#));
    assert_eq!(message(json!({"b": 1.5, "a": []})).as_deref(), Ok(r#"{"a":[],"b":1.5}"#));
    assert_eq!(message(json!({"prompt": "x".repeat(MESSAGE_BYTES_MAX)})).map(|m| m.len()), Ok(MESSAGE_BYTES_MAX));
    assert_eq!(message(json!({"prompt": "x".repeat(MESSAGE_BYTES_MAX + 1)})), Err(TemplateError::TooLarge));
}

#[test]
fn an_answer_is_added_or_named() {
    let added = add_answer("Do it", "blue", Some(&json!({"step": 3})));
    assert_eq!(added, "Do it\n\n## Answer to your question\n\nblue\n\n\n## Where you stopped\n\n{\"step\":3}\n");
    assert!(!add_answer("Do it", "blue", None).contains("stopped"));
    let large = json!("y".repeat(MESSAGE_BYTES_MAX));
    let named = add_answer("Do it", "blue", Some(&large));
    assert!(named.contains("blue") && named.contains("inputs/partial_state") && named.len() < 300);
    let full = "x".repeat(MESSAGE_BYTES_MAX - 150);
    let named = add_answer(&full, &"a".repeat(200), Some(&large));
    assert!(named.contains("inputs/answer") && named.len() <= MESSAGE_BYTES_MAX);
}

proptest! {
    /// Whatever the text, parsing ends; whatever the input, rendering ends within its bounds and never panics.
    #[test]
    fn any_template_and_input(text in proptest::collection::vec(prop_oneof![
        Just("{{ a }}"), Just("{{"), Just("}}"), Just("{% for x in a %}"), Just("{% endfor %}"), Just("{{ x.b | join(a) }}"),
        Just("{{ a | tojson }}"), Just("{% if b %}"), Just("{% endif %}"), Just(" text "), Just("{{ agora.inputs }}"), Just("{{ a | indent(b) }}"),
    ], 0..12), a in prop_oneof![Just(json!(1)), Just(json!("t")), Just(json!([{"b": [1]}, {}])), Just(json!({"b": {}}))]) {
        if let Ok(template) = Template::parse(&text.concat()) {
            let input = json!({"a": a});
            let missing = template.missing(&input);
            let undefined = matches!(template.render(&input, &agora()), Err(TemplateError::Undefined { .. }));
            prop_assert_eq!(undefined, !missing.is_empty());
        }
    }
}
