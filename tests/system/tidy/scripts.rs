//! Every shell script stops at its first error and opens with what it does.

use super::{File, assert_none, files};

#[test]
fn scripts_are_strict_and_say_what_they_do() {
    let scripts: Vec<_> = files().into_iter().filter(is_script).collect();
    assert!(scripts.len() >= 3, "scripts were not found");
    assert_none(&scripts.iter().flat_map(problems).collect::<Vec<_>>());
}

fn is_script(file: &File) -> bool {
    let first = file.text.lines().next().unwrap_or_default();
    let interpreter = first.strip_prefix("#!").and_then(|line| line.split(['/', ' ']).next_back());
    file.path.ends_with(".sh") || matches!(interpreter, Some("sh" | "bash" | "dash"))
}

fn problems(script: &File) -> Vec<String> {
    let mut lines = script.text.lines();
    let bash = lines.next() == Some("#!/usr/bin/env bash");
    let says = lines.next().is_some_and(|line| line.starts_with("# ") && line.len() > 20);
    let strict = script.text.lines().any(|line| line == "set -euo pipefail");
    let rules = [
        (bash, "does not begin with `#!/usr/bin/env bash`"),
        (says, "its second line does not say what it does"),
        (strict, "has no `set -euo pipefail`"),
        (script.executable, "is not executable"),
    ];
    let broken = rules.iter().filter(|(kept, _)| !kept);
    broken.map(|(_, problem)| format!("{}: {problem}", script.path)).collect()
}

mod shown_to_fail {
    use super::{File, is_script, problems};

    const FINE: &str = "#!/usr/bin/env bash\n# Says what this script does.\nset -euo pipefail\n";

    #[test]
    fn a_lax_or_silent_script_is_found() {
        assert_eq!(problems(&File::of("a", FINE)), Vec::<String>::new());
        assert_eq!(problems(&File { executable: false, ..File::of("a", FINE) }), ["a: is not executable"]);
        for (from, to, expected) in [
            ("#!/usr/bin/env bash", "#!/bin/sh", "does not begin"),
            ("# Says what this script does.", "# No.", "second line"),
            ("# Says what this script does.\n", "", "second line"),
            ("set -euo pipefail", "set -e", "has no `set"),
            ("set -euo pipefail", "# set -euo pipefail", "has no `set"),
        ] {
            let found = problems(&File::of("a", &FINE.replace(from, to)));
            assert!(found.len() == 1 && found[0].contains(expected), "{to}: {found:?}");
        }
    }

    #[test]
    fn scripts_are_told_from_other_files() {
        for (path, text, script) in [
            ("scripts/a", "#!/usr/bin/env bash\n", true),
            ("scripts/a", "#!/bin/sh\n", true),
            ("a.sh", "echo", true),
            ("scripts/a", "#!/usr/bin/env python3\n", false),
            ("a.rs", "//! bash", false),
        ] {
            assert_eq!(is_script(&File::of(path, text)), script, "{path} {text}");
        }
    }
}
