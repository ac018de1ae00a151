//! What of YAML is taken, what is refused and where, and that no bytes do harm.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn parse_text(text: &str) -> Result<Parsed, Vec<Problem>> {
    parse(&Arc::from("f.yaml"), text.as_bytes())
}

fn told(text: &str) -> Vec<String> {
    match parse_text(text) {
        Ok(parsed) => parsed.problems.iter().map(Problem::to_string).collect(),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    }
}

/// A tree as text: `key=text`, quoted text in `"`.
fn shape(node: &Node) -> String {
    match &node.value {
        Value::Scalar { text, plain: true } => text.clone(),
        Value::Scalar { text, plain: false } => format!("{text:?}"),
        Value::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|entry| format!("{}={}", entry.key, shape(&entry.value))).collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

#[test]
fn scalars_stay_text_as_they_were_written() {
    for (text, tree) in [
        ("name: no\nversion: 1.10\nn: 0x1f", "{name=no,version=1.10,n=0x1f}"),
        ("a: 'x'\nb: \"y\\n\"\nc: |\n  z\n", "{a=\"x\",b=\"y\\n\",c=\"z\\n\"}"),
        ("a: !!str 5\nb: ! 6\nc: !!int 7", "{a=\"5\",b=\"6\",c=7}"),
        ("a: &x {b: 1}\nc: *x\nd: [*x, *x]", "{a={b=1},c={b=1},d=[{b=1},{b=1}]}"),
        ("&k a: 1\nb: *k", "{a=1,b=a}"),
        ("a:\nb: ~\nc: 'null'", "{a=,b=~,c=\"null\"}"),
        ("", "{}"),
        ("# nothing\n", "{}"),
        ("---\n...\n", "{}"),
        ("~", "{}"),
        ("\u{feff}a: 1\r\nb:\r\n  - x\r\n", "{a=1,b=[x]}"),
    ] {
        let parsed = parse_text(text).unwrap_or_else(|problems| panic!("{text:?}: {problems:?}"));
        assert_eq!((shape(&parsed.root), parsed.problems.len()), (tree.to_owned(), 0), "{text:?}");
    }
}

#[test]
fn places_start_at_one_whatever_the_line_end() {
    for text in ["a: 1\nb:\n  - c: x\n", "\u{feff}a: 1\r\nb:\r\n  - c: x\r\n"] {
        let Value::Map(entries) = parse_text(text).unwrap_or_else(|e| panic!("{e:?}")).root.value else {
            panic!()
        };
        let Value::List(items) = &entries[1].value.value else { panic!("a list") };
        let Value::Map(inner) = &items[0].value else { panic!("a map") };
        let path = Arc::from("f.yaml");
        assert_eq!(entries[1].origin, Origin::file(&path, 2, 1), "{text:?}");
        assert_eq!(inner[0].value.origin, Origin::file(&path, 3, 8), "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_told_in_plain_words_with_its_place() {
    let mut different = Vec::new();
    for (text, problem) in [
        ("a: b: c", "f.yaml:1:5: a second `:` makes no sense here"),
        ("a:\n\t- b", "f.yaml:2:2: a tab stands where spaces belong"),
        (
            "a: [1, 2\nb: 3",
            "f.yaml:2:2: the `:` makes no sense here; check the indentation and that each `[`",
        ),
        (
            "a: [1, 2",
            "f.yaml:1:8: a list opened with `[` goes on here without `,` or `]`; it is opened in line 1",
        ),
        (
            "a: {b: 1",
            "f.yaml:1:8: a map opened with `{` goes on here without `,` or `}`; it is opened in line 1",
        ),
        ("a: \"b", "f.yaml:1:4: a quote that is opened here or above is never closed"),
        ("a: 1\n b: 2", "f.yaml:2:3: a second `:` makes no sense here"),
        ("a: 1\nb", "f.yaml:2:1: this line has no `:`"),
        ("a: *x", "f.yaml:1:4: this `*alias` names an `&anchor`"),
        ("a: %x", "f.yaml:1:4: a value cannot begin with `%`"),
        ("a: @x", "f.yaml:1:4: a value cannot begin with `@`"),
        ("a: `x", "f.yaml:1:4: a value cannot begin with a back-tick"),
        ("a: \"C:\\data\"", "f.yaml:1:4: this `\\` escape is unknown"),
        ("a: x\0y", "f.yaml:1:5: a control character stands here"),
        ("a: ]", "f.yaml:1:4: this bracket closes nothing"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: a second document starts here"),
        ("- a\n- b", "f.yaml:1:1: is a list at its top; a map"),
        ("hello", "f.yaml:1:1: is a single value at its top; a map"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: `a` is given twice, first in line 1"),
        ("b:\n  c: 1\n  'c': 2", "f.yaml:3: b: `c` is given twice, first in line 2"),
        ("a: &x [*x]", "f.yaml:1:8: this alias stands inside the value that it names"),
        ("? [a, b]\n: c", "f.yaml:1:3: a key is a single word, this one is a list"),
        ("a: {<<: {b: 1}}", "f.yaml:1: a: merge keys (`<<`) are not part of YAML 1.2"),
        (": x", "f.yaml:1:1: a key is missing before the `:`"),
        ("a: !secret x", "f.yaml:1: a: the tag `!secret` means nothing here"),
        ("a: [1, !!set {}]", "f.yaml:1: a[1]: the tag"),
    ] {
        let told = told(text);
        if told.len() != 1 || !told[0].starts_with(problem) {
            different.push(format!("{text:?}: {told:#?}, not {problem:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn bytes_that_are_no_text_are_named_with_their_place() {
    let told = |bytes: &[u8]| match parse(&Arc::from("f.yaml"), bytes) {
        Ok(_) => String::new(),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    };
    assert_eq!(told(b"a: 1\nb: \xff"), "f.yaml:2:4: is not UTF-8 here; save the file as UTF-8");
    assert_eq!(told(b"\xff\xfea\0:\0"), "f.yaml: is UTF-16; save it as UTF-8");
    assert!(told(&vec![b'#'; MAX_BYTES + 1]).starts_with("f.yaml: is larger than 1024 KiB"));
    assert_eq!(told(&vec![b'#'; MAX_BYTES]), "");
}

#[test]
fn depth_and_aliases_are_bounded() {
    let deep = |levels: usize| format!("a: {}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse_text(&deep(MAX_DEPTH - 1)).is_ok());
    assert!(told(&deep(MAX_DEPTH))[0].contains("nested deeper than 64 levels"));

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
    }
    assert!(told(&bomb)[0].contains("grows beyond 200000 values"), "{:?}", told(&bomb));

    let wide = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 18), vec!["*a"; 100].join(","));
    assert!(told(&wide)[0].contains("4 MiB of text"));

    let mut nested = "a0: &a0 [x]\n".to_owned();
    for level in 1..70 {
        nested += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(told(&nested)[0].contains("with this alias the file is nested deeper"));
}

#[test]
fn a_hostile_megabyte_is_refused_or_read_in_time() {
    let size = MAX_BYTES - 1;
    let pieces = [
        "[",
        "{",
        "- ",
        "? ",
        ": ",
        "a: ",
        "\"",
        "'",
        "&a ",
        "*a ",
        "!",
        "!!",
        "|\n",
        "[a, ",
        "{a: ",
        "a: &a [*a, ",
        "\n",
        "\r",
        "\t",
        "#",
        "---\n",
        "...\n",
        "%",
        "- - ",
        "a:\n ",
        "[]",
        "{}",
        ",",
        "\\",
        "x",
        "- [\n",
        "é",
        "<<: ",
        "a: b: ",
        "\"\\x41",
        "''",
        ">-\n ",
        "- x\n",
        "k: v\n",
        "? - ",
        "[? ",
        "{? a : ",
        "-\n",
        "a\n",
        "&a\n",
        "!<x> ",
    ];
    for piece in pieces {
        let text = piece.repeat(size / piece.len());
        let began = processor_time();
        let problems = told(&text).len();
        assert!(began() < Duration::from_secs(20), "{piece:?} took {:?}, {problems} problems", began());
    }
}

/// Processor time of this thread, which other tests on the machine do not lengthen.
fn processor_time() -> impl Fn() -> Duration {
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.get(11).and_then(|field| field.parse().ok()).unwrap_or(0)
    };
    let start = ticks();
    move || Duration::from_millis((ticks() - start) * 10)
}

/// Pieces that YAML means something by, in any order.
fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "c:",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ": ",
        "? ",
        "&x ",
        "*x",
        "!!str ",
        "!t ",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "#c\n",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "~",
        "null",
        "\t",
        "\r\n",
        "\u{feff}",
        "\\x41",
        "é",
        "\0",
        "<<: ",
        "-",
        "1.5",
        "include: x*\n",
        "|2\n",
        "%TAG ! x\n",
        "!<y> ",
        "\u{85}",
        "\u{2028}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_give_a_map_or_a_problem(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match parse(&Arc::from("f.yaml"), &bytes) {
            Ok(parsed) => prop_assert!(matches!(parsed.root.value, Value::Map(_))),
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }

    #[test]
    fn any_yaml_gives_a_map_or_a_problem(text in yaml_like()) {
        match parse_text(&text) {
            Ok(parsed) => prop_assert!(matches!(parsed.root.value, Value::Map(_))),
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }
}
