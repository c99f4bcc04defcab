# What CI runs, one recipe a job; `just` runs them all.

default: fmt clippy test doc deny core-tree examples

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --all-features -- -D warnings

test:
    cargo test --workspace

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps

deny:
    cargo deny --all-features check

# The dependency star: core does no network, file or process, siblings never import each other.
core-tree:
    cargo test -p patchkit --test star

examples:
    cargo build --release --examples

# The scanner and the patcher against the tools of others, on real images (needs what `.ci/run` installs).
oracle:
    bash .ci/oracle/run
    bash .ci/oracle/scan
    bash .ci/oracle/loading
    bash .ci/oracle/tests

# Against the tools of others, as ratios.
bench:
    bash .ci/bench
    bash .ci/bench-scan

# A minute of every fuzz target (needs a C++ compiler for libFuzzer).
fuzz-smoke seconds="60":
    bash .ci/fuzz {{seconds}}
