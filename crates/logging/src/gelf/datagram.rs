//! One record becomes datagrams: compressed, and in chunks where it is longer than one.

use std::io::Write as _;

use flate2::Compression as Effort;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::config::Compression;

/// GELF's own limit.
const CHUNKS: usize = 128;
/// Magic, message id, number and count.
const HEAD: usize = 12;
const MAGIC: [u8; 2] = [0x1e, 0x0f];

/// `None` where the record does not fit into 128 chunks.
pub(super) fn datagrams(
    record: &[u8],
    compression: Compression,
    chunk_bytes: usize,
    id: u64,
) -> Option<Vec<Vec<u8>>> {
    let packed = pack(record, compression);
    if packed.len() <= chunk_bytes {
        return Some(vec![packed]);
    }
    let pieces = packed.chunks(chunk_bytes - HEAD);
    let count = u8::try_from(pieces.len()).ok().filter(|count| usize::from(*count) <= CHUNKS)?;
    let chunk = |(number, piece): (u8, &[u8])| {
        let mut chunk = Vec::with_capacity(HEAD + piece.len());
        chunk.extend_from_slice(&MAGIC);
        chunk.extend_from_slice(&id.to_be_bytes());
        chunk.extend_from_slice(&[number, count]);
        chunk.extend_from_slice(piece);
        chunk
    };
    Some((0..count).zip(pieces).map(chunk).collect())
}

fn pack(record: &[u8], compression: Compression) -> Vec<u8> {
    let into = Vec::with_capacity(record.len() / 2 + 64);
    let packed = match compression {
        Compression::None => Ok(record.to_vec()),
        Compression::Zlib => {
            let mut encoder = ZlibEncoder::new(into, Effort::fast());
            encoder.write_all(record).and_then(|()| encoder.finish())
        }
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(into, Effort::fast());
            encoder.write_all(record).and_then(|()| encoder.finish())
        }
    };
    packed.expect("memory takes all that is written")
}

#[cfg(test)]
mod tests {
    use super::{CHUNKS, HEAD, datagrams};
    use crate::config::Compression;

    #[test]
    fn chunks_hold_the_whole_record_in_order_and_none_is_too_long() {
        let record: Vec<u8> = (0..5_000u32).flat_map(u32::to_be_bytes).collect();
        let all = datagrams(&record, Compression::None, 1_420, 0x0102_0304_0506_0708).unwrap();
        assert_eq!(all.len(), record.len().div_ceil(1_420 - HEAD));
        let mut whole = Vec::new();
        for (number, chunk) in all.iter().enumerate() {
            assert!(chunk.len() <= 1_420);
            let head = [0x1e, 0x0f, 1, 2, 3, 4, 5, 6, 7, 8, number as u8, all.len() as u8];
            assert_eq!(chunk[..HEAD], head);
            whole.extend_from_slice(&chunk[HEAD..]);
        }
        assert_eq!(whole, record);
    }

    #[test]
    fn what_needs_more_chunks_than_there_may_be_is_refused() {
        let most = (128 - HEAD) * CHUNKS;
        assert_eq!(datagrams(&vec![7; most], Compression::None, 128, 1).unwrap().len(), CHUNKS);
        assert!(datagrams(&vec![7; most + 1], Compression::None, 128, 1).is_none());
        assert_eq!(datagrams(&vec![7; most * 10], Compression::Zlib, 1_420, 1).unwrap().len(), 1);
    }
}
