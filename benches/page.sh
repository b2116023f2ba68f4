#!/usr/bin/env bash
# Measures everything and draws docs/benchmarks anew: benches/page.sh [--smoke] [DIRECTORY]
#
# A directory within docs/benchmarks is another machine: it gets a page of its own, and columns on the main one.
#
# Some 40 minutes on two quiet cores, of which the builds are twelve. Let nothing else run meanwhile. --smoke measures each thing
# once, in order to try this script; its figures are worth nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds() { echo --rounds "$1"; }
if [[ ${1:-} == --smoke ]]; then
  rounds() { echo --rounds 1; }
  shift
elif ! git diff --quiet HEAD -- . ':!docs/benchmarks' ':!README.md'; then
  echo "there are changes that no commit has: nobody could measure these figures again" >&2
  exit 1
fi
out=${1:-docs/benchmarks}
mkdir -p "$out" target/runners
say() { echo "== $((SECONDS / 60)) min $((SECONDS % 60)) s: $*" >&2; }

# The committed results go when the new ones are there, not before.
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# build NAME [FEATURES]: the runner under that name, since the next build would write over it.
build() {
  say "building the runner $1"
  cargo build --quiet --profile bench -p handcar-benches --bin instructions ${2:+--features "$2"}
  cp "${CARGO_TARGET_DIR:-target}/release/instructions" "target/runners/$1"
}

# measure RUNNER NAME ARGUMENTS..: one file of results.
measure() {
  local runner=$1 name=$2
  shift 2
  say "measuring $name"
  "target/runners/$runner" "$@" --json "$results/$name.json" >"$results/$name.txt"
}

# Each lane keeps one core busy: the runner with the peers is one crate, which one core compiles for minutes.
others() {
  export CARGO_TARGET_DIR=target/others
  build jemalloc jemalloc
  build mimalloc mimalloc
  CARGO_PROFILE_BENCH_LTO=false CARGO_PROFILE_BENCH_CODEGEN_UNITS=16 build release
  measure release sizes --sizes
}
others &
lane=$!
build peers peers

# What is counted minds no company, not even that of a compiler.
both=(--entrant handcar --entrant "tokio LocalRuntime")
all_of_tokio=("${both[@]}" --entrant "tokio LocalSet" --entrant "tokio spawn" --entrant "tokio LocalSet, handles in turn")
hot=(spawn-join spawn-detached switch-1 yield-now oneshot ping-pong mpsc- unbounded-short semaphore mutex timeout- sleep-dropped gather group scope)
hot=("${hot[@]/#/--only=}")
if command -v valgrind >/dev/null; then measure peers instructions --instructions "${both[@]}" "${hot[@]}"; fi
if command -v perf >/dev/null; then
  measure peers system-calls --system-calls "${both[@]}" --only=tcp- --only=echo-1 --only=start --only=sleepers
fi
wait "$lane"

# shellcheck disable=SC2046 # two words
{
  measure peers main --quick $(rounds 4)
  measure peers tails --quick $(rounds 5) --only=tail- --only=-saturated --only=-on-schedule
  measure peers theirs --quick $(rounds 2) --only=tokio- --only=compio- --only=smol-
  measure peers curves --quick $(rounds 2) --only=tasks- --only=timers- --only=waiters- --only=connections-
  for other in release jemalloc mimalloc; do
    measure "$other" "$other" --quick $(rounds 2) "${all_of_tokio[@]}" "${hot[@]}" --only=tcp-
  done
}

rm -f "$out"/*.json "$out"/*.svg
cp "$results"/*.json "$out"
target/runners/peers --report "$out"
if [[ $out == docs/benchmarks || $out == docs/benchmarks/* ]]; then
  target/runners/peers --report docs/benchmarks
  sed -i -e '/<!-- summary -->/,/<!-- end of the summary -->/{//!d}' -e "/<!-- summary -->/r docs/benchmarks/summary.md" README.md
fi
say "done: $out/index.html"
