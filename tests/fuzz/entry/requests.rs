//! Bytes become what a stranger sends: HTTP/1 requests of known parts, gRPC calls, or just the bytes. Pure. Every input
//! means something, and small changes of it are small changes of what is sent.

use super::words::{BODIES, HEADERS, METHODS, NAMES, PARAMETERS, PATHS, VALUES};

/// Takes choices out of bytes; when they are at an end, each choice is the first.
pub(crate) struct Dice<'a>(&'a [u8]);

impl<'a> Dice<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    /// Any bytes, at most `most`.
    pub(crate) fn some(&mut self, most: usize) -> &'a [u8] {
        let length = usize::from(self.byte()).min(most).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// What goes over an HTTP connection. `token` is the operator's.
pub(crate) fn http(bytes: &[u8], token: &str) -> Vec<u8> {
    let mut dice = Dice::new(bytes);
    match dice.byte() % 8 {
        0 => dice.rest().to_vec(),
        1 => [PREFACE, SETTINGS, dice.rest()].concat(),
        2 => {
            let path = path(&mut dice);
            call(&path, &mut dice, false)
        }
        _ => {
            let mut out = Vec::new();
            for _ in 0..=dice.byte() % 3 {
                request(&mut dice, token, &mut out);
            }
            out
        }
    }
}

/// One request of known parts, with any bytes among them.
fn request(dice: &mut Dice<'_>, token: &str, out: &mut Vec<u8>) {
    out.extend(word(dice, METHODS));
    out.push(b' ');
    out.extend(path(dice));
    for place in 0..(dice.byte() % 8).saturating_sub(4) {
        out.push(if place == 0 { b'?' } else { b'&' });
        out.extend(word(dice, PARAMETERS));
        out.push(b'=');
        out.extend(word(dice, VALUES));
    }
    // Mostly what is right, so that most get further.
    out.extend(match dice.byte() % 16 {
        0 => &b" HTTP/1.0\r\n"[..],
        1 => b" HTTP/2.0\r\n",
        2 => b"\r\n",
        _ => b" HTTP/1.1\r\n",
    });
    out.extend(match dice.byte() % 16 {
        0 => &b""[..],
        1 => b"host: evil.example\r\n",
        2 => b"host: 127.0.0.1:8501\r\n",
        _ => b"host: localhost\r\n",
    });
    for _ in 0..(dice.byte() % 8).saturating_sub(4) {
        let header = dice.one(HEADERS);
        out.extend(header.replace("{token}", token).as_bytes());
        if header.ends_with(": ") {
            out.extend(word(dice, VALUES));
        }
        out.extend(b"\r\n");
    }
    let body = body(dice);
    match dice.byte() % 8 {
        0 => out.extend([b"\r\n", &body[..]].concat()),
        1 => {
            out.extend(b"transfer-encoding: chunked\r\n\r\n");
            let chunk = format!("{:x}\r\n", body.len());
            out.extend([chunk.as_bytes(), &body[..], b"\r\n0\r\n\r\n"].concat());
        }
        // A length that is not the body's.
        2 => out.extend([format!("content-length: {}\r\n\r\n", dice.byte()).as_bytes(), &body[..]].concat()),
        _ => out.extend([format!("content-length: {}\r\n\r\n", body.len()).as_bytes(), &body[..]].concat()),
    }
}

/// One of the words, or any bytes.
fn word<'a>(dice: &mut Dice<'a>, words: &[&'static str]) -> Vec<u8> {
    match usize::from(dice.byte()) {
        255 => dice.some(40).to_vec(),
        // What no request line can hold comes as a browser would write it.
        254 => dice.some(20).iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect(),
        choice => words[choice % words.len()].as_bytes().to_vec(),
    }
}

fn path(dice: &mut Dice<'_>) -> Vec<u8> {
    let template = word(dice, PATHS);
    let mut out = Vec::new();
    let mut parts = template.split(|byte| *byte == b'*');
    out.extend(parts.next().unwrap_or_default());
    for part in parts {
        let name = word(dice, NAMES);
        out.extend(&name);
        if name == b"c" {
            out.extend(dice.byte().to_string().as_bytes());
        }
        out.extend(part);
    }
    out
}

/// JSON of known parts, cut and glued anywhere, or any bytes.
fn body(dice: &mut Dice<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..dice.byte() % 5 {
        out.extend(word(dice, BODIES));
    }
    out
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Empty.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const DATA: u8 = 0;
const HEADERS_FRAME: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A whole HTTP/2 connection with one call, whose messages are any bytes; `open` leaves the call's end out.
pub(crate) fn call(path: &[u8], dice: &mut Dice<'_>, open: bool) -> Vec<u8> {
    let mut messages = Vec::new();
    while !dice.is_empty() {
        messages.push(dice.some(255).to_vec());
    }
    of_messages(path, &messages, open)
}

/// The same with these messages.
pub(crate) fn of_messages(path: &[u8], messages: &[Vec<u8>], open: bool) -> Vec<u8> {
    let mut block = Vec::new();
    let fields: [(&[u8], &[u8]); 6] = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ];
    for (name, value) in fields {
        let value = &value[..value.len().min(120)];
        block.extend([0, name.len() as u8]);
        block.extend(name);
        block.push(value.len() as u8);
        block.extend(value);
    }
    let mut out = [PREFACE, SETTINGS].concat();
    frame(HEADERS_FRAME, END_HEADERS, &block, &mut out);
    for message in messages {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        frame(DATA, 0, &[&[0], &length[..], message].concat(), &mut out);
    }
    if !open {
        frame(DATA, END_STREAM, &[], &mut out);
    }
    out
}

fn frame(kind: u8, flags: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend(&u32::try_from(payload.len()).unwrap_or(0).to_be_bytes()[1..]);
    out.extend([kind, flags, 0, 0, 0, 1]);
    out.extend(payload);
}
