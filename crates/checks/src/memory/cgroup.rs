//! The memory limit of this process's cgroup, version 2. Each ancestor may have one; the limit with the least
//! left below it is the one that will be hit. Version 1 has no place here: the machine's memory is used there.

use crate::cgroup::groups;
use crate::room::Room;
use std::fs::read_to_string;
use std::path::Path;

/// The tightest limit, `None` where there is none. `mount` is the hierarchy, `membership` tells our place in it.
pub(super) fn limit(mount: &Path, membership: &Path) -> Option<Room> {
    let groups = groups(mount, membership);
    groups.iter().filter_map(|directory| room(directory)).min_by_key(|room| room.available)
}

/// File pages that the kernel can drop at once do not count as used.
fn room(directory: &Path) -> Option<Room> {
    let number = |name: &str| read_to_string(directory.join(name)).ok()?.trim().parse::<u64>().ok();
    let max = number("memory.max")?;
    let current = number("memory.current")?;
    let stat = read_to_string(directory.join("memory.stat")).unwrap_or_default();
    let inactive = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let inactive = inactive.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    let used = current.saturating_sub(inactive).min(max);
    Some(Room { used, available: max - used })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn group(directory: &Path, max: &str, current: &str, inactive: &str) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("memory.max"), max).unwrap();
        fs::write(directory.join("memory.current"), current).unwrap();
        fs::write(directory.join("memory.stat"), format!("anon 1\ninactive_file {inactive}\n")).unwrap();
    }

    fn member(directory: &Path, text: &str) -> std::path::PathBuf {
        let file = directory.join("membership");
        fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn the_limit_with_least_left_counts_and_droppable_pages_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path().join("cgroup");
        group(&mount.join("pod/app"), "1000\n", "600\n", "200\n");
        let membership = member(dir.path(), "0::/pod/app\n");
        assert_eq!(limit(&mount, &membership), Some(Room { used: 400, available: 600 }));
        group(&mount.join("pod"), "1200\n", "1100\n", "0\n");
        assert_eq!(limit(&mount, &membership), Some(Room { used: 1100, available: 100 }));
    }

    #[test]
    fn no_limit_is_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path().join("cgroup");
        group(&mount.join("app"), "max\n", "600\n", "200\n");
        assert_eq!(limit(&mount, &member(dir.path(), "0::/app\n")), None);
        assert_eq!(limit(&mount, &member(dir.path(), "4:memory:/app\n")), None, "version 1");
        assert_eq!(limit(&mount, &dir.path().join("missing")), None);
    }

    #[test]
    fn inside_a_namespace_the_top_of_the_mount_is_our_own_group() {
        let dir = tempfile::tempdir().unwrap();
        let mount = dir.path().join("cgroup");
        group(&mount, "1000\n", "100\n", "0\n");
        for place in ["0::/\n", "0::/../other\n"] {
            let room = limit(&mount, &member(dir.path(), place));
            assert_eq!(room, Some(Room { used: 100, available: 900 }), "{place}");
        }
    }
}
