//! The program `clearinghouse`.

fn main() -> std::process::ExitCode {
    lafs_clearinghouse::cli::run(std::env::args_os())
}
