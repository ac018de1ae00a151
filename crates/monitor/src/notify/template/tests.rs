//! Templates, shown: what they fill in, what they refuse, what they may cost.

use super::*;

fn compiled(text: &str) -> Result<Templates, Vec<TemplateError>> {
    Templates::compile(&BTreeMap::from([(Arc::from("summary"), Arc::from(text))]))
}

fn rendered(text: &str, facts: &Facts<'_>) -> String {
    let templates = compiled(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    templates.render(facts).remove("summary").unwrap()
}

fn facts<'a>(labels: &'a Labels, elements: &'a [String]) -> Facts<'a> {
    let count = elements.len() as u64;
    Facts {
        rule: "cpu_high",
        labels,
        severity: Severity::Critical,
        value: Some(92.126),
        elements,
        count,
        message: Some("refused"),
    }
}

#[test]
fn facts_are_filled_in_and_what_is_missing_is_marked() {
    let (labels, elements) = (Labels::from([("pod", "pay-1")]), ["a".to_owned(), "b".to_owned()]);
    let facts = facts(&labels, &elements);
    for (text, expected) in [
        ("CPU {{ value|round(1) }}% on {{ labels.pod }}", "CPU 92.1% on pay-1"),
        ("{{ rule|upper }} {{ severity }}", "CPU_HIGH critical"),
        ("{{ value|times(100)|round }}", "9213"),
        ("{{ labels.node }} {{ labels.a.b.c }} {{ nonsense }}", "[missing] [missing] [missing]"),
        ("{{ labels.node|default('none') }}", "none"),
        ("{% for e in elements %}<{{ e }}>{% endfor %} {{ count }}", "<a><b> 2"),
        ("{{ elements|join }}", "a, b"),
        ("{{ message }}", "refused"),
        ("{% if value > 90 %}hot{% else %}warm{% endif %}", "hot"),
        ("* a bullet, 50 % and { braces }", "* a bullet, 50 % and { braces }"),
    ] {
        assert_eq!(rendered(text, &facts), expected, "{text}");
    }
    let none = Facts { value: None, message: None, ..facts };
    assert_eq!(
        rendered("{{ value }} {{ value|default('-') }} {{ message }}", &none),
        "[missing] - [missing]"
    );
}

#[test]
fn what_labels_hold_comes_out_literally() {
    for hostile in ["{{ 7*7 }}", "{% for x in y %}", "${HOME}", "<script>alert(1)</script>", "@channel"] {
        let labels = Labels::from([("pod", hostile)]);
        assert_eq!(rendered("on {{ labels.pod }}", &facts(&labels, &[])), format!("on {hostile}"));
        let says = Facts { message: Some(hostile), ..facts(&labels, &[]) };
        assert_eq!(rendered("{{ message }}", &says), hostile);
    }
    let labels = Labels::from([("pod", "a\r\n\x1b[31m\u{202e}")]);
    assert_eq!(rendered("{{ labels.pod }}", &facts(&labels, &[])), "a␍\n␛[31m[U+202E]");
}

#[test]
fn wrong_templates_are_told_with_their_line() {
    for (text, line, word) in [
        ("ok\n{{ value", 2, "syntax error"),
        ("{{ value|frobnicate }}", 1, "unknown filter"),
        ("\n\n{% include '/etc/passwd' %}", 3, "`include` is not allowed"),
        ("{% set x = 1 %}", 1, "`set` is not allowed"),
        ("{%- macro x() %}{% endmacro %}", 1, "`macro` is not allowed"),
        ("{% extends 'x' %}", 1, "`extends` is not allowed"),
        ("a\n{{ 'x' * 100000000 }}", 2, "times(100)"),
        ("{{ '}}' * 100000000 }}", 1, "times(100)"),
        ("{{ \"\\\"}}\" * 100000000 }}", 1, "times(100)"),
        ("{{ env('HOME') }}", 1, "unknown function"),
        ("{% for x in range(100000) %}{% endfor %}", 1, "unknown function"),
    ] {
        let errors = compiled(text).expect_err(text);
        assert!(errors[0].line == line && errors[0].why.contains(word), "{text}: {errors:?}");
        assert_eq!(errors[0].name, "summary");
    }
    assert!(compiled(&"x".repeat(5_000)).unwrap_err()[0].why.contains("longer than 4096"));
}

#[test]
fn what_a_template_costs_is_bounded() {
    let labels = Labels::from([("pod", &*"x".repeat(1_000))]);
    let many: Vec<String> = (0..50).map(|i| i.to_string()).collect();
    let facts = facts(&labels, &many);
    let long = rendered("{% for e in elements %}{{ labels.pod }}{% endfor %}", &facts);
    assert!(long.ends_with("… [cut at 16384 bytes]") && long.len() < OUTPUT + 40, "{}", long.len());
    let loops = "{% for a in elements %}{% for b in elements %}{% for c in elements %}{% if a == 'z' %}x{% endif %}\
                 {% endfor %}{% endfor %}{% endfor %}";
    let text = rendered(loops, &facts);
    assert!(text.starts_with("[this template failed: ") && text.contains("fuel"), "{text}");
    let deep = "{% for a in elements recursive %}{{ loop(elements) }}{% endfor %}";
    assert!(rendered(deep, &facts).starts_with("[this template failed"));
}
