//! Runs a script beside this file with the Python that has `tahoe-lafs`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Standard output of `tests/oracle/<script>` run with `args`, `input` on its standard input; `None` where there is no
/// Python to run it with, which counts as skipped.
///
/// # Panics
/// If the script fails, or there is no Python and `REQUIRE_INTEROP=1` asks for one.
pub(crate) fn run(script: &str, args: &[&str], input: &str) -> Option<String> {
    let mut child = spawn(script, args)?;
    // The scripts read all of their input before they answer, so neither side waits for the other.
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the script reads its input");
    let output = child.wait_with_output().expect("the script ends");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

/// `tests/oracle/<script>` as it begins to run with `args`, all of its streams piped; `None` as with [`run`].
///
/// # Panics
/// If there is no Python and `REQUIRE_INTEROP=1` asks for one.
pub(crate) fn spawn(script: &str, args: &[&str]) -> Option<Child> {
    let Some(python) = std::env::var_os("LAFS_TEST_PYTHON").filter(|path| !path.is_empty()) else {
        let required = std::env::var_os("REQUIRE_INTEROP").is_some_and(|value| value == "1");
        assert!(!required, "REQUIRE_INTEROP=1, and LAFS_TEST_PYTHON names no Python that has tahoe-lafs");
        println!("SKIPPED: {script} {args:?}: LAFS_TEST_PYTHON names no Python that has tahoe-lafs");
        return None;
    };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(script);
    let child = Command::new(&python)
        .arg(path)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Some(child.unwrap_or_else(|error| panic!("{}: {error}", python.display())))
}
