//! Where this process stands among cgroups, version 2. Which limits count is decided by who asks. Version 1 has no
//! place here.

use std::fs::read_to_string;
use std::path::{Component, Path, PathBuf};

/// Our own group and those above it, up to the top that we can see; none without version 2. `mount` is the
/// hierarchy, `membership` tells our place in it.
pub(crate) fn groups(mount: &Path, membership: &Path) -> Vec<PathBuf> {
    let Some(place) = read_to_string(membership).ok().and_then(|text| place(&text)) else {
        return Vec::new();
    };
    // A path that leads upward belongs to another namespace: only the mount's own top is ours to see.
    let outside = Path::new(&place).components().any(|part| part == Component::ParentDir);
    let own = if outside { mount.to_owned() } else { mount.join(place.trim_start_matches('/')) };
    own.ancestors().take_while(|directory| directory.starts_with(mount)).map(Path::to_owned).collect()
}

/// The line of version 2 is `0::/path`.
fn place(membership: &str) -> Option<String> {
    membership.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}
