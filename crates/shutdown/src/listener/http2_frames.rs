//! Follows the frames an HTTP/2 peer sends, as bytes pass: has it answered our settings or a ping, and is a
//! header block open? Judges nothing else; the HTTP/2 implementation behind it does.

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// What has been seen of a peer's frames, after the preface.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Frames {
    /// The frame header being read; `filled` bytes of it are there.
    header: [u8; 9],
    filled: u8,
    /// Payload bytes of the current frame still to come.
    left: u32,
    /// The settings or a ping were acknowledged: the peer lives and speaks the protocol.
    answered: bool,
    /// A header block began and is not complete.
    block_open: bool,
}

impl Frames {
    /// Takes in what was read.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skip = bytes.len().min(self.left as usize);
                self.left -= skip as u32;
                bytes = &bytes[skip..];
                if self.left == 0 {
                    self.frame_ended();
                }
                continue;
            }
            let take = bytes.len().min(9 - usize::from(self.filled));
            let from = usize::from(self.filled);
            self.header[from..from + take].copy_from_slice(&bytes[..take]);
            self.filled += take as u8;
            bytes = &bytes[take..];
            if self.filled == 9 {
                self.frame_began();
            }
        }
    }

    fn frame_began(&mut self) {
        self.filled = 0;
        let [high, middle, low, kind, ..] = self.header;
        self.left = u32::from_be_bytes([0, high, middle, low]);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.block_open = true;
        }
        if self.left == 0 {
            self.frame_ended();
        }
    }

    fn frame_ended(&mut self) {
        let (kind, flags) = (self.header[3], self.header[4]);
        match kind {
            HEADERS | CONTINUATION if flags & END_HEADERS != 0 => self.block_open = false,
            SETTINGS | PING if flags & ACK != 0 => self.answered = true,
            _ => {}
        }
    }

    pub(crate) fn answered(&self) -> bool {
        self.answered
    }

    pub(crate) fn block_open(&self) -> bool {
        self.block_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn what_is_seen_does_not_depend_on_how_the_bytes_are_cut() {
        let frames = [
            (frame(SETTINGS, 0, &[0; 18]), false, false),
            (frame(HEADERS, 0, &[7; 300]), false, true),
            (frame(CONTINUATION, 0, &[]), false, true),
            (frame(CONTINUATION, END_HEADERS, &[7; 3]), false, false),
            (frame(0, 0, &[1; 20_000]), false, false),
            (frame(PING, 0, &[0; 8]), false, false),
            (frame(SETTINGS, ACK, &[]), true, false),
            (frame(HEADERS, END_HEADERS, &[7; 40]), true, false),
        ];
        for size in [1, 2, 7, 9, 10, 100, 65_536] {
            let mut seen = Frames::default();
            for (index, (bytes, answered, block_open)) in frames.iter().enumerate() {
                for chunk in bytes.chunks(size) {
                    seen.feed(chunk);
                }
                let found = (seen.answered(), seen.block_open());
                assert_eq!(found, (*answered, *block_open), "frame {index} in chunks of {size}");
            }
        }
    }

    #[test]
    fn half_a_header_block_is_open_and_a_ping_answer_counts() {
        let mut seen = Frames::default();
        seen.feed(&frame(HEADERS, END_HEADERS, &[7; 300])[..100]);
        assert!(seen.block_open(), "the payload is not complete");
        let mut seen = Frames::default();
        seen.feed(&frame(PING, ACK, &[0; 8])[..16]);
        assert!(!seen.answered(), "one byte is missing");
        seen.feed(&[0]);
        assert!(seen.answered());
    }
}
