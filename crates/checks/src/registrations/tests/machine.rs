//! Mistakes in the kinds that look at this machine and in those that applications tell of.

use super::read;

#[test]
fn each_mistake_is_named_with_its_key() {
    let check = |keys: &str| format!("checks:\n- {{name: a, {keys}}}\n");
    let table = [
        (check("heartbeat: {}"), "checks[0].heartbeat.ttl: is required; write for instance `ttl: 1h`"),
        (check("push: {ttl: 1s}, interval: 1s"), "checks[0].interval: means nothing here"),
        (check("push: {ttl: 1ms}"), "checks[0].push.ttl: `1ms` is out of range"),
        (check("process: {}"), "checks[0].process: says not which process"),
        (check("process: {name: a, pattern: b}"), "checks[0].process.pattern: is given as well as `name`"),
        (check("process: {pattern: '('}"), "checks[0].process.pattern: `(` is not a regular expression"),
        (check("process: {name: a, at_least: 3, at_most: 2}"), "checks[0].process.at_most: is less than"),
        (check("cpu: {window: 2h}"), "checks[0].cpu.window: `2h` is out of range"),
        (
            check("file_descriptors: {name: a, pid_file: /b}"),
            "checks[0].file_descriptors.name: is given as well as `pid_file`",
        ),
        (check("command: {}"), "checks[0].command.argv: names no program"),
        (check("command: {argv: [bin/x]}"), "checks[0].command.argv: names its program by half a path"),
        (check("command: {argv: [check_disk -w 5]}"), "checks[0].command.argv: is one word with spaces"),
        (check("command: {argv: [x], env: {'a=b': c}}"), "checks[0].command.env: has a name with `=`"),
    ];
    for (text, expected) in table {
        let problems = read(&text).err().unwrap_or_default();
        assert!(problems.contains(expected), "{text} gave {problems}, not {expected}");
    }
}
