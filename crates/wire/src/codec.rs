//! The codec of the stream: protobuf with small buffers. A monitor holds one pair of them for each agent for as long as
//! that is connected, and most messages are shorter than 1 KiB; what is longer gets a buffer of its own length.

use prost::Message;
use std::marker::PhantomData;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// What a buffer begins with. At 1 KiB or more it would also be what each later one begins with.
const BUFFER_BYTES: usize = 512;
/// What is sent at once, as in tonic's own settings.
const SENT_AT_ONCE: usize = 32 << 10;

/// Protobuf with small buffers.
#[derive(Debug, Clone)]
pub(crate) struct StreamCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for StreamCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, SENT_AT_ONCE)
}

impl<T, U> Codec for StreamCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(settings())
    }
}
