# Names, no logic. `.ci/run` is what has to hold.

default:
    @just --list

# everything
verify:
    .ci/run

# the quick part of it
check:
    AGORA_CI_WITHOUT="schedules crashes needs_root example_hello example_fan_out examples_as_user peers" .ci/run

test:
    cargo test --workspace

# random schedules, each from a seed: AGORA_SEED=… AGORA_SCHEDULES=… just simulate
simulate:
    cargo test -p agora-engine --test simulation -- --nocapture

# real programs, killed at random moments: AGORA_SEED=… AGORA_KILLS=… just crash
crash:
    cargo build -p agora-mcp -p agora-worker -p agora-jail
    cargo test -p agora-admin --test crashes -- --nocapture

lint:
    cargo clippy --workspace --all-targets -- -D warnings

format:
    cargo fmt --all

# layers, words, codes in step with docs/errors.md; prints the longest files and functions
tidy:
    cargo test -p agora-testkit --test tidy -- --nocapture

# the README's first command
example:
    examples/fan-out/run.sh

# what the engine, its evidence, the programs and their peers take: ratios, in one run
bench:
    cargo bench -p agora-engine
    cargo bench -p agora-admin
