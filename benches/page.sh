#!/usr/bin/env bash
# Measures everything and draws docs/benchmarks anew: benches/page.sh [--smoke] [DIRECTORY]
#
# 25 minutes on two quiet cores, builds included. Let nothing else run meanwhile. --smoke measures each thing once, in order to try
# this script; its figures are worth nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds() { echo --rounds "$1"; }
if [[ ${1:-} == --smoke ]]; then
  rounds() { echo --rounds 1; }
  shift
fi
out=${1:-docs/benchmarks}
mkdir -p "$out"

# build NAME [FEATURES]: the runner under that name, since the next build would write over it.
build() {
  cargo build --quiet --profile bench -p handcar-benches --bin instructions ${2:+--features "$2"}
  mkdir -p target/runners
  cp target/release/instructions "target/runners/$1"
}

# step NAME ARGUMENTS..: one file of results.
step() {
  local name=$1
  shift
  echo "== $name, after $((SECONDS / 60)) min $((SECONDS % 60)) s" >&2
  "${runner:-target/runners/peers}" "$@" --json "$results/$name.json" >"$results/$name.txt"
}

# The committed results go when the new ones are there, not before.
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# Everything is built first: a processor that has just compiled is hot.
build peers peers
build jemalloc jemalloc
build mimalloc mimalloc
CARGO_PROFILE_BENCH_LTO=false CARGO_PROFILE_BENCH_CODEGEN_UNITS=16 build release
step sizes --sizes

# Counts come before times: they mind neither heat nor company.
both=(--entrant handcar --entrant "tokio LocalRuntime")
counted=(spawn-join spawn-detached switch-1 yield-now oneshot ping-pong mpsc- unbounded-short semaphore mutex timeout- sleep-dropped gather group scope)
if command -v valgrind >/dev/null; then step instructions --instructions "${both[@]}" "${counted[@]/#/--only=}"; fi
if command -v perf >/dev/null; then step system-calls --system-calls "${both[@]}" --only=tcp- --only=start --only=sleepers; fi

step main --quick $(rounds 5)
step tails --quick $(rounds 5) --only=tail- --only=-saturated
step theirs --quick $(rounds 3) --only=tokio- --only=compio- --only=smol-
step curves --quick $(rounds 2) --only=tasks- --only=timers- --only=waiters- --only=connections-
for other in release jemalloc mimalloc; do
  runner=target/runners/$other step "$other" --quick $(rounds 5) "${both[@]}" "${counted[@]/#/--only=}" --only=tcp-
done

rm -f "$out"/*.json "$out"/*.svg
cp "$results"/*.json "$out"
target/runners/peers --report "$out"
echo "== done after $((SECONDS / 60)) min $((SECONDS % 60)) s: $out/index.html" >&2
