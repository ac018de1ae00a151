//! A question and its answer on the wire (RFC 1035, 3596, 2782). Nothing that a server sends is trusted: names point
//! only backwards, lengths are checked, and what is left over is not read. Pure.

mod cursor;

use super::records::{RecordType, lower};
use crate::failure::Failure;
use cursor::Cursor;

/// No more records of an answer are read.
const MAX_RECORDS: u16 = 1_000;
/// No chain of aliases is longer.
const MAX_ALIASES: usize = 16;
const CLASS_IN: u16 = 1;
const CNAME: u16 = 5;
/// Flags: it is an answer; it was cut; and in a question: please ask others for me.
const IS_ANSWER: u16 = 1 << 15;
const IS_CUT: u16 = 1 << 9;
const RECURSE: u16 = 1 << 8;

/// A name and the type of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// In lower case, without the last dot.
    name: String,
    records: RecordType,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The response code.
    pub(super) code: u16,
    /// It was too long for UDP.
    pub(super) cut: bool,
    /// The records of the type asked for, in their normal form, aliases followed.
    pub(super) records: Vec<String>,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It answers something else.
    Foreign,
    /// It cannot be read.
    Unreadable,
}

impl Wrong {
    pub(super) fn failure(self, target: &str) -> Failure {
        Failure::theirs(
            "protocol_error",
            format!("{target} does not answer as a DNS server does: correct the address"),
        )
    }
}

impl Question {
    /// Records of this type of this name.
    pub(super) fn new(name: &str, records: RecordType) -> Result<Self, String> {
        let bare = lower(name);
        let good = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        };
        if name.is_empty() || bare.len() > 253 || !(bare == "." || bare.split('.').all(good)) {
            return Err(format!(
                "`{name}` is no name of the DNS; write for instance `db.example`, other letters than these as `xn--…`"
            ));
        }
        Ok(Self { name: bare, records })
    }

    pub(super) fn encode(&self, id: u16) -> Vec<u8> {
        let mut packet = Vec::with_capacity(self.name.len() + 18);
        // One question, and nothing else.
        for word in [id, RECURSE, 1, 0, 0, 0] {
            packet.extend(word.to_be_bytes());
        }
        for label in self.name.split('.').filter(|label| !label.is_empty()) {
            // `new` has seen that it is at most 63.
            packet.push(u8::try_from(label.len()).unwrap_or(63));
            packet.extend(label.as_bytes());
        }
        packet.push(0);
        packet.extend(self.records.number().to_be_bytes());
        packet.extend(CLASS_IN.to_be_bytes());
        packet
    }

    /// Reads an answer to this question with this id.
    pub(super) fn decode(&self, id: u16, packet: &[u8]) -> Result<Answer, Wrong> {
        let mut cursor = Cursor::new(packet);
        let mut head = [0; 6];
        for word in &mut head {
            *word = cursor.number().ok_or(Wrong::Foreign)?;
        }
        let [got, flags, questions, answers, ..] = head;
        if got != id || flags & IS_ANSWER == 0 {
            return Err(Wrong::Foreign);
        }
        let code = flags & 0b1111;
        // A server that could not even read the question does not repeat it.
        if questions == 0 && code != 0 {
            return Ok(Answer { code, cut: false, records: Vec::new() });
        }
        if questions != 1 || !self.is_repeated(&mut cursor).ok_or(Wrong::Foreign)? {
            return Err(Wrong::Foreign);
        }
        if flags & IS_CUT != 0 {
            return Ok(Answer { code, cut: true, records: Vec::new() });
        }
        let found = found(&mut cursor, answers).ok_or(Wrong::Unreadable)?;
        Ok(Answer { code, cut: false, records: self.pick(&found) })
    }

    fn is_repeated(&self, cursor: &mut Cursor<'_>) -> Option<bool> {
        let (name, kind, class) = (cursor.name()?, cursor.number()?, cursor.number()?);
        Some(name == self.name && kind == self.records.number() && class == CLASS_IN)
    }

    /// The records of the name itself, or of what it stands for.
    fn pick(&self, found: &[Record]) -> Vec<String> {
        let mut name = &self.name;
        for _ in 0..MAX_ALIASES {
            let own: Vec<String> = found
                .iter()
                .filter(|record| record.owner == *name && record.kind == self.records.number())
                .map(|record| record.text.clone())
                .collect();
            let alias = found.iter().find(|record| record.owner == *name && record.kind == CNAME);
            match alias {
                Some(alias) if own.is_empty() => name = &alias.text,
                _ => return own,
            }
        }
        Vec::new()
    }
}

/// A record of a type that is known.
struct Record {
    owner: String,
    kind: u16,
    /// In its normal form.
    text: String,
}

fn found(cursor: &mut Cursor<'_>, count: u16) -> Option<Vec<Record>> {
    let mut found = Vec::new();
    for _ in 0..count.min(MAX_RECORDS) {
        let (owner, kind, class) = (cursor.name()?, cursor.number()?, cursor.number()?);
        let _time_to_live = (cursor.number()?, cursor.number()?);
        let mut data = cursor.part()?;
        if class == CLASS_IN
            && let Some(text) = data.record(kind)?
        {
            found.push(Record { owner, kind, text });
        }
    }
    Some(found)
}

impl Answer {
    /// A word on the matter, or why this server has none.
    pub(super) fn checked(self, target: &str) -> Result<Self, Failure> {
        let (reason, what) = match self.code {
            0 | 3 => return Ok(self),
            1 => ("format_error".into(), "cannot read the question: is it a DNS server?"),
            2 => ("server_failure".into(), "fails (SERVFAIL): look at its log and at the zone's servers"),
            4 => ("not_implemented".into(), "does not answer such questions: ask another server"),
            5 => ("refused".into(), "refuses to answer: let it allow this client, or ask another server"),
            code => (format!("rcode_{code}").into(), "answers with an error: its log says why"),
        };
        let reason: std::borrow::Cow<'static, str> = reason;
        Err(Failure::theirs(reason, format!("{target} {what}")))
    }

    /// Why there is nothing.
    pub(super) fn missing(&self, name: &str, records: RecordType) -> Option<Failure> {
        if self.code == 3 {
            let message = format!("the name `{name}` does not exist: correct it, or add it to its zone");
            return Some(Failure::theirs("no_such_name", message));
        }
        if self.records.is_empty() {
            let message =
                format!("`{name}` has no {records} record: correct the type, or add one to its zone");
            return Some(Failure::theirs("no_records", message));
        }
        None
    }
}

#[cfg(test)]
mod tests;
