//! The helper executable. Its callers are the functions of the library; its command line is no interface for people.

use std::process::ExitCode;

fn main() -> ExitCode {
    agora_jail::helper_main(std::env::args_os().skip(1).collect())
}
