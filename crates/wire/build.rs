//! Compiles `proto/farol/v1` with protox: no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../../proto/farol");
    let files = protox::compile(["farol/v1/fleet.proto"], ["../../proto"])?;
    tonic_prost_build::configure()
        .codec_path("crate::codec::StreamCodec")
        .bytes(".farol.v1.Block.data")
        .compile_fds(files)?;
    Ok(())
}
