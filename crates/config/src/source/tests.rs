//! Which source wins, what a variable means, includes, and files that cannot be read.

use crate::{Map, Origin, Problems, Sources};
use std::fs;
use std::path::Path;
use tempfile::tempdir;

fn read<T>(sources: Sources, reader: impl FnOnce(&mut Map<'_>) -> T) -> Result<T, String> {
    sources.load().and_then(|tree| tree.read(reader)).map_err(|problems| problems.to_string())
}

fn host(m: &mut Map<'_>) -> Option<String> {
    m.map("store", |m| m.map("postgres", |m| m.text("host").or("default")))?
}

#[test]
fn a_flag_wins_over_environment_over_alias_over_file_over_default() {
    let file = "store: {postgres: {host: file}}";
    let vars = |names: &[&str]| -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), (*name).to_lowercase())).collect()
    };
    let env = "F__STORE__POSTGRES__HOST";
    for (text, names, flag, wanted) in [
        (file, &[env, "DB_HOST"][..], Some("flag"), "flag"),
        (file, &[env, "DB_HOST"], None, "f__store__postgres__host"),
        (file, &["DB_HOST"], None, "db_host"),
        (file, &["OTHER_HOST"], None, "file"),
        ("store: {postgres: }", &["DB_HOST"], None, "db_host"),
        ("store: {postgres: {}}", &[], None, "default"),
    ] {
        let sources = Sources::new()
            .alias("DB_HOST", "store.postgres.host")
            .text("f.yaml", text)
            .flag("--host", "store.postgres.host", flag.map(str::to_owned))
            .env("F", None, vars(names));
        assert_eq!(read(sources, host), Ok(Some(wanted.to_owned())), "{names:?} {flag:?}");
    }
}

#[test]
fn a_fallback_makes_what_it_stands_in_and_yields_to_all_but_auto() {
    let env = "F__STORE__POSTGRES__HOST";
    for (text, names, wanted) in [
        ("", &["SHARED"][..], "shared"),
        ("store: {postgres: {host: auto}}", &["SHARED"], "shared"),
        ("store: {postgres: {host: auto}}", &[], "auto"),
        ("store: {postgres: {host: file}}", &["SHARED"], "file"),
        ("store: {postgres: {host: auto}}", &["SHARED", env], "env"),
        ("", &["SHARED", "DB_HOST"], "alias"),
    ] {
        let value = |name: &str| match name {
            "SHARED" => "shared",
            "DB_HOST" => "alias",
            _ => "env",
        };
        let vars: Vec<_> = names.iter().map(|name| (*name, value(name))).collect();
        let sources = Sources::new().text("f.yaml", text).env("F", None, vars);
        let sources =
            sources.fallback("SHARED", "store.postgres.host").variable("DB_HOST", "store.postgres.host");
        assert_eq!(read(sources, host), Ok(Some(wanted.to_owned())), "{text} {names:?}");
    }
}

#[test]
fn an_alias_never_chooses_what_it_stands_in() {
    for text in ["", "store: {}", "store: {sqlite: {}}"] {
        let sources = Sources::new().text("f.yaml", text).alias("DB_HOST", "store.postgres.host").env(
            "F",
            None,
            [("DB_HOST", "x")],
        );
        let found = read(sources, |m| {
            m.map("store", |m| {
                m.ignore("sqlite");
                m.has("postgres")
            })
        });
        assert_ne!(found, Ok(Some(true)), "{text}");
        assert!(found.is_ok(), "{found:?}");
    }
}

#[test]
fn a_prefix_lands_where_it_is_told_to() {
    let vars = [("FAROL_AGENT__LISTEN__HTTP", "127.0.0.1:1"), ("FAROL_MONITOR__LISTEN__HTTP", "127.0.0.1:2")];
    let listen = |m: &mut Map<'_>| m.section("listen", |m| m.address("http").optional().map(|a| a.port()));
    let whole = Sources::new()
        .env("FAROL_AGENT", Some("agent"), vars)
        .env("FAROL_MONITOR", Some("monitor"), vars)
        .flag("--http", "monitor.listen.http", Some("127.0.0.1:3".to_owned()));
    assert_eq!(
        read(whole, |m| (m.section("agent", listen), m.section("monitor", listen))),
        Ok((Some(1), Some(3)))
    );
    let alone = Sources::new().env("FAROL_MONITOR", None, vars);
    assert_eq!(read(alone, listen), Ok(Some(2)));
}

#[test]
fn what_environment_cannot_say_is_told_with_the_variable() {
    for (name, value, problem) in [
        ("F__INTERVALL", "5s", "F__INTERVALL: intervall: unknown key `intervall`; did you mean `interval`?"),
        ("F__LISTEN__HTPP", "x", "F__LISTEN__HTPP: listen.htpp: unknown key `htpp`; did you mean `http`?"),
        ("F__INTERVAL", "soon", "F__INTERVAL: interval: `soon` is not a duration; write for instance"),
        (
            "F__CHECKS",
            "[]",
            "F__CHECKS: checks: is a list; lists cannot be set by environment. Unset `F__CHECKS`",
        ),
        (
            "F__CHECKS__0__NAME",
            "x",
            "F__CHECKS__0__NAME: checks: is a list; lists cannot be set by environment",
        ),
        ("F__MONITORS", "x", "F__MONITORS: monitors: is a list; lists cannot be set by environment"),
        ("F__MONITORS__0", "x", "F__MONITORS__0: monitors: is a list; lists cannot be set by environment"),
        ("F__LISTEN", "x", "F__LISTEN: listen: is a map; set its keys one by one, each as `F__LISTEN__KEY`"),
        ("F__LABELS", "x", "F__LABELS: labels: is a map; set its keys one by one, each as `F__LABELS__KEY`"),
        (
            "F__NAME__X",
            "x",
            "F__NAME__X: name: is a single value in f.yaml:1, so that nothing can be set beneath it",
        ),
        ("F__", "x", "F__: names no key; write `F__` and the key"),
        ("F__A____B", "x", "F__A____B: names no key; write `F__` and the key"),
    ] {
        let text = "name: x\nchecks: [{name: a}]\nlisten: {http: '[::]:1'}\n";
        let sources = Sources::new().text("f.yaml", text).env("F", None, [(name, value)]);
        let found = read(sources, |m| {
            m.name("name").required();
            m.duration("interval").optional();
            m.list("checks", |m| m.name("name").required());
            m.texts("monitors");
            m.labels("labels");
            m.map("listen", |m| m.address("http").required());
        });
        let problems = found.expect_err(name);
        assert!(problems.starts_with(problem) && problems.lines().count() == 1, "{problems}");
    }
}

#[test]
fn other_variables_and_empty_ones_say_nothing() {
    let vars = [
        ("F_PORT", "tcp://10.0.0.1:80"),
        ("FF__X", "x"),
        ("F__NAME", ""),
        ("PATH", "/bin"),
        ("f__name", "x"),
    ];
    assert_eq!(read(Sources::new().env("F", None, vars), |m| m.name("name").or("d")), Ok("d".to_owned()));
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_a_problem_only_when_it_is_ours() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = || std::ffi::OsString::from_vec(vec![0xff]);
    let sources = Sources::new().env("F", None, [("F__NAME", bytes()), ("OTHER", bytes())]);
    assert_eq!(
        read(sources, |m| m.name("name").or("d")),
        Err("F__NAME: is not UTF-8; set it again".to_owned())
    );
}

#[test]
fn a_variable_finds_keys_with_dashes_and_capitals() {
    let sources = Sources::new().text("f.yaml", "services: {my-Svc.eu: {at_least: 1}}").env(
        "F",
        None,
        [("F__SERVICES__MY_SVC_EU__AT_LEAST", "2")],
    );
    let found = read(sources, |m| m.entries("services", |_, m| m.integer::<u32>("at_least").or(1)));
    assert_eq!(found, Ok(vec![("my-Svc.eu".to_owned(), 2)]));
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn included_files_merge_maps_and_append_lists_in_the_order_of_their_names() {
    let folder = tempdir().unwrap();
    write(
        folder.path(),
        "main.yaml",
        "include: [conf.d/*.yaml, 'none.d/*.yaml', extra.yml]\nlist: [0]\nmap: {a: 1}\n",
    );
    write(folder.path(), "conf.d/20.yaml", "list: [2]\nmap: {c: 3}\n");
    write(folder.path(), "conf.d/10.yaml", "list: [1]\nmap: {b: 2}\n");
    write(folder.path(), "conf.d/.hidden.yaml", "nonsense: 1\n");
    write(folder.path(), "conf.d/10.yaml.bak", "nonsense: 1\n");
    write(folder.path(), "extra.yml", "list: [3]\nmap:\n");
    let found = read(Sources::new().file(folder.path().join("main.yaml")), |m| {
        (m.texts("list"), m.pairs("map").len())
    });
    let list = ["0", "1", "2", "3"].map(str::to_owned).to_vec();
    assert_eq!(found, Ok((list, 3)));
}

#[test]
fn a_pattern_does_not_include_its_own_file() {
    let folder = tempdir().unwrap();
    write(folder.path(), "main.yaml", "include: '*.yaml'\nlist: [0]\n");
    write(folder.path(), "more.yaml", "list: [1]\n");
    let found = read(Sources::new().file(folder.path().join("main.yaml")), |m| m.texts("list").len());
    assert_eq!(found, Ok(2));
}

#[test]
fn problems_of_an_included_file_carry_its_own_name() {
    let folder = tempdir().unwrap();
    let base = folder.path().to_string_lossy().into_owned();
    write(folder.path(), "main.yaml", "include: conf.d/*.yaml\nname: a\nlist: [1]\n");
    write(folder.path(), "conf.d/10.yaml", "name: b\nlist: {}\nintervall: 5s\ninterval: soon\n");
    write(folder.path(), "conf.d/20.yaml", "include: more.yaml\n");
    let found = read(Sources::new().file(folder.path().join("main.yaml")), |m| {
        m.name("name").required();
        m.duration("interval").optional();
        m.texts("list");
    });
    let expected = format!(
        "{base}/conf.d/10.yaml:1: name: is set in {base}/main.yaml:2 already; keep one of the two
{base}/conf.d/10.yaml:2: list: is something else in {base}/main.yaml:3; a map merges with a map, a list with a list
{base}/conf.d/10.yaml:3: intervall: unknown key `intervall`; did you mean `interval`?
{base}/conf.d/10.yaml:4: interval: `soon` is not a duration; write for instance `10s` or `500ms`
{base}/conf.d/20.yaml:1: include: an included file cannot include others; name all of them in the main file"
    );
    assert_eq!(found, Err(expected));
}

#[test]
fn an_include_that_cannot_be_followed_is_named() {
    let folder = tempdir().unwrap();
    write(folder.path(), "x/a.yaml", "");
    for (include, problem) in [
        ("missing.yaml", "missing.yaml: does not exist; check the path"),
        (
            "'*/a.yaml'",
            "main.yaml:1: include: `*/a.yaml`: `*` is understood in the last part of the path only",
        ),
        ("{a: 1}", "main.yaml:1: include: is not a file name; write for instance `include: conf.d/*.yaml`"),
        ("'*'", "x: is a directory; name a file in it"),
    ] {
        write(folder.path(), "main.yaml", &format!("include: {include}\n"));
        let problems = read(Sources::new().file(folder.path().join("main.yaml")), |_| ()).expect_err(include);
        assert!(problems.ends_with(problem) && problems.lines().count() == 1, "{problems}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named_all_at_once() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("c.yaml"), b"a: \xff").unwrap();
    write(folder.path(), "d.yaml", "a: [");
    let problems: Problems = Sources::new()
        .file(folder.path().join("a-missing.yaml"))
        .file(folder.path())
        .file(folder.path().join("c.yaml"))
        .file(folder.path().join("d.yaml"))
        .load()
        .expect_err("four bad files");
    let base = folder.path().to_string_lossy().into_owned();
    let told: Vec<String> = problems.iter().map(|problem| problem.to_string().replace(&base, "")).collect();
    assert_eq!(
        told,
        [
            ": is a directory; name a file in it",
            "/a-missing.yaml: does not exist; check the path",
            "/c.yaml:1:4: is not UTF-8 here; save the file as UTF-8",
            "/d.yaml:1:4: a value is wanted here; is a `]`, `}` or quote missing above, or a comma too many?",
        ]
    );
    assert!(matches!(
        problems.iter().next().map(|problem| &problem.origin),
        Some(Origin::File { line: 0, .. })
    ));
}

#[test]
fn several_files_merge() {
    let sources =
        Sources::new().text("a.yaml", "a: 1\nl: [1]\n").text("b.yaml", "").text("c.yaml", "b: 2\nl: [2]\n");
    let found = read(sources, |m| {
        (m.integer::<u8>("a").required(), m.integer::<u8>("b").required(), m.texts("l").len())
    });
    assert_eq!(found, Ok((1, 2, 2)));
}

#[test]
fn a_variable_makes_what_it_stands_in_and_wins_over_the_file_only() {
    let read = |text: &str, vars: &[(&str, &str)]| {
        let sources = Sources::new().text("f.yaml", text).variable("LOG_LEVEL", "logging.level");
        let tree = sources.env("F", None, vars.iter().copied()).load().unwrap();
        tree.read(|m| m.section("logging", |m| m.text("level").or("none"))).unwrap()
    };
    for (text, vars, level) in [
        ("", vec![("LOG_LEVEL", "debug")], "debug"),
        ("logging: {level: info}", vec![("LOG_LEVEL", "debug")], "debug"),
        ("logging: {level: info}", vec![("LOG_LEVEL", "")], "info"),
        ("", vec![("LOG_LEVEL", "debug"), ("F__LOGGING__LEVEL", "error")], "error"),
        ("", vec![], "none"),
    ] {
        assert_eq!(read(text, &vars), level, "{text} {vars:?}");
    }
}

#[test]
fn a_bare_number_of_a_variable_that_counts_seconds_is_one_of_seconds() {
    for (given, read) in
        [("30", Ok("30s")), ("0.5", Ok("500ms")), ("250ms", Ok("250ms")), ("soon", Err("`soon`"))]
    {
        let sources = Sources::new().text("f.yaml", "store: {timeout: 1s}");
        let sources =
            sources.alias_in_seconds("DB_TIMEOUT", "store.timeout").env("X", None, [("DB_TIMEOUT", given)]);
        let tree = sources.load().unwrap();
        let outcome = tree.read(|m| m.section("store", |m| m.duration("timeout").required()));
        match read {
            Ok(text) => assert!(outcome.is_ok() && tree.dump().contains(text), "{given}: {}", tree.dump()),
            Err(word) => assert!(outcome.unwrap_err().to_string().contains(word), "{given}"),
        }
    }
}
