//! Compiles the public gRPC health protocol, in pure Rust, when the feature `grpc` asks for it.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "grpc")]
    {
        println!("cargo:rerun-if-changed=../../proto/grpc");
        let files = protox::compile(["grpc/health/v1/health.proto"], ["../../proto"])?;
        tonic_prost_build::configure().compile_fds(files)?;
    }
    Ok(())
}
