# Every command. `just` lists them.

_list:
    @just --list --unsorted

# Format everything
fmt:
    cargo fmt --all

# Lints, as errors
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation, warnings as errors
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# All tests, the quick sets; or some steps: `just test unit doc`
test *steps:
    ./test {{steps}}

# The protocol under the model checker, the quick set
loom:
    ./test loom

# The same with larger bounds; takes long
loom-full:
    TIDELOG_LOOM_FULL=1 ./test loom

# Deliberate faults that the tests must notice: all of them, or `just mutants --quick`, `--list`, words of names
mutants *args:
    cargo run -q -p tidelog-mutants -- {{args}}

# Kill a writing process so many times, and verify each time
kill count="1000":
    TIDELOG_KILLS={{count}} cargo test --release --test kill -- --nocapture

# Benchmarks: `just bench --bench append -- --quick`
bench *args:
    cargo bench {{args}}

# Append and verify real files
ingest *args:
    cargo run --release --example ingest -- {{args}}

# Serve a log over HTTP: `just http DIRECTORY [ADDRESS]`
http *args:
    cargo run --release -p tidelog-async-tests --example http -- {{args}}

# Licences and sources of the dependencies; needs cargo-deny
deny:
    cargo deny check

# What a change must pass
ci:
    .ci/run
