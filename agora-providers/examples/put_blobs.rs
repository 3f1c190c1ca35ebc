//! Puts blobs of different sizes into a home until it has put as many as it was told: `put_blobs HOME WRITER COUNT`.

use std::path::Path;
use std::process::ExitCode;

use agora_core::seam::BlobStore as _;
use agora_providers::blobs::FileBlobs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, home, writer, count] = arguments.as_slice() else { return ExitCode::FAILURE };
    let blobs = FileBlobs::new(Path::new(home));
    for number in 0..count.parse::<u64>().unwrap_or(0) {
        // Every other blob is the same in all writers.
        let text = if number % 2 == 0 { format!("shared {number} ") } else { format!("{writer} {number} ") };
        if let Err(error) = blobs.put(text.repeat(2000).as_bytes()).await {
            std::panic::panic_any(error.to_string());
        }
    }
    ExitCode::SUCCESS
}
