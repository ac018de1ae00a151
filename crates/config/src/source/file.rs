//! Reading files and what they include. Decides what is a readable file and which files an `include` names;
//! does not decide what stands in them.

use crate::node::{Node, Value};
use crate::parse::{self, MAX_BYTES};
use crate::problem::{Origin, Problem, quoted};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most files that one `include` line may name.
const MAX_INCLUDED: usize = 256;

/// Collects what reading gave.
#[derive(Default)]
pub(super) struct Files {
    pub(super) problems: Vec<Problem>,
    /// A file could not be read or parsed as a whole.
    pub(super) fatal: bool,
}

impl Files {
    /// A file and what it includes.
    pub(super) fn read(&mut self, path: &Path) -> Option<Node> {
        let name: Arc<str> = Arc::from(path.to_string_lossy());
        let bytes = self.bytes(path, &name)?;
        self.parse(&name, &bytes)
    }

    /// A text and what it includes.
    pub(super) fn parse(&mut self, name: &Arc<str>, bytes: &[u8]) -> Option<Node> {
        let mut root = self.parse_one(name, bytes)?;
        let Some((origin, patterns)) = self.take_include(&mut root) else { return Some(root) };
        let base = Path::new(name.as_ref()).parent().unwrap_or(Path::new("")).to_path_buf();
        for pattern in patterns {
            for path in self.matching(&base, &pattern, &origin, name) {
                if let Some(node) = self.read_included(&path) {
                    root.merge(node, "", &mut self.problems);
                }
            }
        }
        Some(root)
    }

    fn read_included(&mut self, path: &Path) -> Option<Node> {
        let name: Arc<str> = Arc::from(path.to_string_lossy());
        let bytes = self.bytes(path, &name)?;
        let mut node = self.parse_one(&name, &bytes)?;
        if let Some((origin, _)) = self.take_include(&mut node) {
            let message = "an included file cannot include others; name all of them in the main file";
            self.problems.push(Problem::new(&origin, "include", message));
        }
        Some(node)
    }

    fn parse_one(&mut self, name: &Arc<str>, bytes: &[u8]) -> Option<Node> {
        match parse::parse(name, bytes) {
            Ok(parsed) => {
                self.problems.extend(parsed.problems);
                Some(parsed.root)
            }
            Err(problems) => {
                self.problems.extend(problems);
                self.fatal = true;
                None
            }
        }
    }

    fn bytes(&mut self, path: &Path, name: &Arc<str>) -> Option<Vec<u8>> {
        read_bounded(path, MAX_BYTES)
            .map_err(|message| {
                self.problems.push(Problem::new(&Origin::file(name, 0, 0), "", message));
                self.fatal = true;
            })
            .ok()
    }

    /// Takes the `include` key out of a root: its place and its patterns.
    fn take_include(&mut self, root: &mut Node) -> Option<(Origin, Vec<String>)> {
        let Value::Map(entries) = &mut root.value else { return None };
        let index = entries.iter().position(|entry| entry.key == "include")?;
        let entry = entries.remove(index);
        let items = match entry.value.value {
            Value::List(items) => items,
            _ if entry.value.is_null() => Vec::new(),
            _ => vec![entry.value],
        };
        let mut patterns = Vec::new();
        for item in items {
            match item.value {
                Value::Scalar { text, .. } if !text.is_empty() => patterns.push(text),
                _ => self.problems.push(Problem::new(
                    &item.origin,
                    "include",
                    "is not a file name; write for instance `include: conf.d/*.yaml`",
                )),
            }
        }
        Some((entry.origin, patterns))
    }

    /// The files that a pattern names, sorted; the including file itself is left out.
    fn matching(&mut self, base: &Path, pattern: &str, origin: &Origin, own: &str) -> Vec<PathBuf> {
        let whole = base.join(pattern);
        if !pattern.contains('*') {
            return vec![whole];
        }
        match matches(&whole, Path::new(own)) {
            Ok(paths) => paths,
            Err(message) => {
                self.problems.push(Problem::new(
                    origin,
                    "include",
                    format!("{}: {message}", quoted(pattern)),
                ));
                Vec::new()
            }
        }
    }
}

/// The files that a pattern with `*` names, sorted; the one where it stands is left out.
///
/// # Errors
/// What is wrong with it, or with its folder.
pub(crate) fn matches(whole: &Path, own: &Path) -> Result<Vec<PathBuf>, String> {
    let last = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = whole.parent().unwrap_or(Path::new(""));
    if folder.to_string_lossy().contains('*') {
        return Err("`*` is understood in the last part of the path only".to_owned());
    }
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let listing = match fs::read_dir(listed) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("the folder cannot be listed ({error}); check its permissions")),
    };
    let own = fs::canonicalize(own).ok();
    let mut paths = Vec::new();
    for entry in listing {
        let name = entry.map_err(|error| format!("the folder cannot be listed ({error})"))?.file_name();
        let path = folder.join(&name);
        let is_own = own.is_some() && fs::canonicalize(&path).ok() == own;
        if glob(&last, &name.to_string_lossy()) && !is_own {
            paths.push(path);
        }
        if paths.len() > MAX_INCLUDED {
            return Err(format!("names more than {MAX_INCLUDED} files; use fewer, larger ones"));
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a file name fits a pattern with `*`. A leading dot is only matched by a dot, as in a shell.
fn glob(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// A file's bytes, at most `limit` (one more is read, so that the caller sees that there are more).
///
/// # Errors
/// What is wrong and what to do.
pub(crate) fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "does not exist; check the path".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "cannot be read: permission denied; give this user the right to read it".to_owned()
        }
        io::ErrorKind::IsADirectory => "is a directory; name a file in it".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    if fs::metadata(path).map_err(failed)?.is_dir() {
        return Err("is a directory; name a file in it".to_owned());
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(path).map_err(failed)?.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_but_a_leading_dot() {
        for (pattern, name, fits) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", ".yaml", false),
            ("*.yaml", "..data", false),
            (".*", ".hidden", true),
            ("*.yaml", "a.yml", false),
            ("*", "x", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("10-*.yaml", "10-db.yaml", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }
}
