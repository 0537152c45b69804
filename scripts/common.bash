# Sourced by the scripts beside it: where things are, and tools fetched on demand. Runs nothing by itself.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

# The directory cargo builds into; CARGO_TARGET_DIR and cargo's own configuration are obeyed.
target_dir() {
    cargo metadata --manifest-path "$root/Cargo.toml" --offline --no-deps --format-version 1 |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# tool NAME VERSION: the path of a cargo subcommand; taken from PATH in any version, else built once under the target directory
# (unoptimised: it runs for seconds, and builds in half the time).
tool() {
    local tools found
    if found=$(command -v "$1"); then
        printf '%s\n' "$found"
        return
    fi
    tools=$(target_dir)/tools/$1-$2
    if [ ! -x "$tools/bin/$1" ]; then
        say "building $1 $2 (once, a few minutes)"
        cargo install "$1" --quiet --debug --locked --version "$2" --root "$tools" --target-dir "$tools/build" >&2
        rm -rf "$tools/build"
    fi
    printf '%s\n' "$tools/bin/$1"
}
