//! cgroup v2 files of several shapes, read from a folder of fixtures.

use super::*;

/// A name, the files of a cgroup file system, `/proc/self/cgroup`, and the folder found.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str, Option<&'static str>);

fn cgroup(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_container_is_a_namespaced_or_a_limited_cgroup() {
    let cases: [Case; 7] = [
        ("a container's own root", &[("memory.current", "1\n")], "0::/\n", Some("")),
        ("a plain machine's root", &[("cgroup.procs", "")], "0::/\n", None),
        (
            "a service without limits",
            &[
                ("system.slice/x.service/memory.max", "max\n"),
                ("system.slice/x.service/memory.current", "1\n"),
            ],
            "0::/system.slice/x.service\n",
            None,
        ),
        (
            "a service with a memory limit",
            &[("system.slice/x.service/memory.max", "1048576\n")],
            "0::/system.slice/x.service\n",
            Some("system.slice/x.service"),
        ),
        (
            "a container that sees all cgroups, limited in processors",
            &[("docker/abc/cpu.max", "50000 100000\n")],
            "0::/docker/abc\n",
            Some("docker/abc"),
        ),
        ("a path out of the namespace", &[("memory.max", "4096\n")], "0::/../../etc\n", None),
        ("cgroup v1", &[("memory/memory.usage_in_bytes", "1\n")], "4:memory:/x\n1:cpu:/\n", None),
    ];
    for (name, files, own, expected) in cases {
        let folder = cgroup(files);
        let expected = expected.map(|path| folder.path().join(path));
        assert_eq!(find(folder.path(), own.as_bytes()), expected, "{name}");
    }
}

#[test]
fn a_limited_container_is_measured_against_its_limits() {
    let folder = cgroup(&[
        (
            "cpu.stat",
            "usage_usec 1000000\nuser_usec 600000\nsystem_usec 400000\nnr_periods 7\nnr_throttled 2\nthrottled_usec 12345\n",
        ),
        ("cpu.max", "50000 100000\n"),
        ("memory.current", "3000000\n"),
        ("memory.max", "4000000\n"),
        ("memory.stat", "anon 1\nfile 5\ninactive_file 1000000\n"),
        ("memory.events", "low 0\noom 1\noom_kill 1\n"),
        ("pids.current", "12\n"),
    ]);
    let mut cgroup = Cgroup::new(folder.path());
    let mut row = Row::new();
    cgroup.cpu(10_000, &mut Row::new());
    std::fs::write(folder.path().join("cpu.stat"), "usage_usec 2000000\nuser_usec 600000\n").unwrap();
    cgroup.cpu(20_000, &mut row);
    cgroup.memory(&mut row);
    let told: Vec<_> = row.samples().iter().map(|s| (s.series.name(), s.value)).collect();
    assert_eq!(
        told,
        [
            ("system_container_cpu_usage_seconds_total", 2.0),
            ("system_container_cpu_user_seconds_total", 0.6),
            ("system_container_cpu_limit_cores", 0.5),
            ("system_container_cpu_usage_percent", 20.0),
            ("system_container_memory_usage_bytes", 3_000_000.0),
            ("system_container_memory_working_set_bytes", 2_000_000.0),
            ("system_container_memory_limit_bytes", 4_000_000.0),
            ("system_container_memory_usage_percent", 50.0),
            ("system_container_memory_oom_kills_total", 1.0),
        ]
    );
}

#[test]
fn without_limits_there_are_no_shares_and_a_cgroup_that_is_gone_is_absent() {
    let folder = cgroup(&[
        ("cpu.stat", "usage_usec 5\n"),
        ("cpu.max", "max 100000\n"),
        ("memory.current", "3000000\n"),
        ("memory.max", "max\n"),
    ]);
    let mut cgroup = Cgroup::new(folder.path());
    let mut row = Row::new();
    cgroup.cpu(0, &mut Row::new());
    cgroup.cpu(1_000, &mut row);
    cgroup.memory(&mut row);
    let told: Vec<_> = row.samples().iter().map(|s| s.series.name()).collect();
    assert_eq!(told, ["system_container_cpu_usage_seconds_total", "system_container_memory_usage_bytes"]);
    let mut gone = Cgroup::new(&folder.path().join("gone"));
    row.clear();
    gone.cpu(0, &mut row);
    gone.memory(&mut row);
    assert_eq!(row.samples(), []);
}

#[test]
fn usage_is_of_the_allowed_time() {
    let cases = [
        ((0, 0), (500_000, 1_000), 1_000, Some(50.0)),
        ((0, 0), (500_000, 1_000), 250, Some(200.0)),
        ((500_000, 0), (0, 1_000), 1_000, None),
        ((0, 1_000), (5, 1_000), 1_000, None),
        ((0, 0), (5, 1_000), 0, None),
    ];
    for (before, now, limit, expected) in cases {
        assert_eq!(usage(before, now, limit), expected, "{before:?} {now:?} {limit}");
    }
    assert_eq!(millicores(b"150000 100000\n"), Some(1_500));
    assert_eq!(millicores(b"max 100000\n"), None);
    assert_eq!(millicores(b"1 0\n"), None);
}
