//! Getters of what may hold a secret: written out, or in a file of its own (`password_file`). Decides that no
//! message repeats such a value.

use super::field::{Field, Found};
use super::scalars::{Look, base_of, look};
use super::{Kind, Map, Wanted};
use crate::node::{Node, Value, join};
use crate::problem::{Origin, Problem, quoted};
use crate::secret::{HIDDEN, Secret};
use crate::source::read_bounded;
use crate::url::Url;

/// The largest secret file.
const MAX_BYTES: usize = 64 << 10;

/// What stands under `key` or in the file that `key_file` names.
enum Given {
    Missing,
    Wrong,
    Text {
        text: String,
        origin: Origin,
        /// The key and the path of the secret's file, for the dump.
        file: Option<(String, String)>,
    },
}

impl<'t> Map<'t> {
    /// A secret, written out or in the file that `<key>_file` names (without its last line end).
    pub fn secret<'m>(&'m mut self, key: &str) -> Field<'m, 't, Secret> {
        let look = Look { is_text: true, ..look("…", Secret::default(), |_: &Secret| HIDDEN.to_owned()) };
        self.hidden(key, look, |text| Ok(Secret::new(text)))
    }

    /// A URL, written out or in the file that `<key>_file` names. Its password is never shown.
    pub fn url<'m>(&'m mut self, key: &str) -> Field<'m, 't, Url> {
        let stand_in = "http://localhost/".parse().expect("this URL is well formed");
        let look = Look { is_text: true, ..look("https://example.org/", stand_in, Url::redacted) };
        self.hidden(key, look, |text| {
            text.parse().map_err(|why: String| {
                format!("is not a URL: it {why}; write for instance `https://example.org/` (not shown: it may hold a password)")
            })
        })
    }

    fn hidden<'m, T>(
        &'m mut self,
        key: &str,
        look: Look<'m, T>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Field<'m, 't, T> {
        let found = match self.given(key) {
            Given::Missing => Found::Missing,
            Given::Wrong => Found::Wrong,
            Given::Text { text, origin, file } => {
                let path = join(&self.path, key);
                match (self.parse_found(key, &path, &origin, &look.show, || parse(&text)), file) {
                    (Found::Value { value, origin, .. }, Some(dumped)) => {
                        Found::Value { value, origin, dumped }
                    }
                    (found, _) => found,
                }
            }
        };
        self.field(key, look, found)
    }

    fn given(&mut self, key: &str) -> Given {
        let file_key = format!("{key}_file");
        match (self.take(key), self.take(&file_key)) {
            (None, None) => Given::Missing,
            (Some(node), Some(file)) if node.layer == file.layer => {
                let message = format!("is given as well as `{key}`; keep one of the two");
                self.problems.push(Problem::new(&file.origin, &join(&self.path, &file_key), message));
                Given::Wrong
            }
            (Some(node), Some(file)) if node.layer < file.layer => self.read_file(&file_key, file),
            (None, Some(file)) => self.read_file(&file_key, file),
            (Some(node), _) => match self.single(key, node) {
                Some(text) => Given::Text { text, origin: node.origin.clone(), file: None },
                None => Given::Wrong,
            },
        }
    }

    fn single(&mut self, key: &str, node: &Node) -> Option<String> {
        if let Value::Scalar { text, .. } = &node.value {
            return Some(text.clone());
        }
        let example = format!("{key}: …");
        let path = join(&self.path, key);
        self.wrong_kind(node, &path, Wanted { kind: Kind::Single, example: &example });
        None
    }

    fn read_file(&mut self, file_key: &str, node: &Node) -> Given {
        let Some(named) = self.single(file_key, node) else { return Given::Wrong };
        let key = join(&self.path, file_key);
        let path = base_of(&node.origin).join(&named);
        let shown = path.to_string_lossy().into_owned();
        match read_secret(&path) {
            Ok(text) => {
                let var = match &node.origin {
                    Origin::Env(name) | Origin::Flag(name) => name.clone(),
                    _ => key,
                };
                let origin = Origin::SecretFile { var, path: shown.clone() };
                Given::Text { text, origin, file: Some((file_key.to_owned(), shown)) }
            }
            Err(message) => {
                let message = format!("the file {} {message}", quoted(&shown));
                self.problems.push(Problem::new(&node.origin, &key, message));
                Given::Wrong
            }
        }
    }
}

fn read_secret(path: &std::path::Path) -> Result<String, String> {
    let bytes = read_bounded(path, MAX_BYTES)?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("is larger than {} KiB; is it the right one?", MAX_BYTES >> 10));
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8; write the secret as text".to_owned())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() { Err("is empty; write the secret into it".to_owned()) } else { Ok(text.to_owned()) }
}
