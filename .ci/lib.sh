# Shared by .ci/run and .ci/slow: steps with a heading and a time, tools installed where they are missing, loud skips.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.."
top=$PWD
target=${CARGO_TARGET_DIR:-$top/target}
shared=$top/../shared

# A clone is built once, so nothing is gained by what rustc keeps for the next build, and backtraces need no more than lines.
# Both together are two thirds of what the targets would take of the disk.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=line-tables-only
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
unset RUSTFLAGS RUSTDOCFLAGS # each step says what it needs
export HANDCAR_ON_REPORT=abort # what does nothing wrong has nothing to report: no example, test or program of the documentation

if [[ $(uname -m) != x86_64 ]]; then echo "these checks are written for x86_64 Linux" >&2; exit 1; fi

declare -a skipped=() times=()
current="starting"
began=$SECONDS

only=("$@") # the steps that were asked for; none: all

# step NAME "heading": runs the function NAME, prints what it took. The first failure ends the script and names its step.
step() {
  if ((${#only[@]})) && [[ " ${only[*]} " != *" $1 "* ]]; then return; fi
  current="$1: $2"
  local from=$SECONDS
  printf '\n==== %s\n' "$current"
  "$1"
  times+=("$(printf '%5d s  %s' $((SECONDS - from)) "$current")")
}

# The one loud line of what was not checked.
skip() {
  skipped+=("$current: $1")
  printf '!!!! SKIPPED %s: %s\n' "$current" "$1"
}

report() {
  local status=$?
  trap - EXIT
  if ((${#times[@]})); then
    printf '\n==== time of each step, %d s in all\n' $((SECONDS - began))
    printf '%s\n' "${times[@]}"
  fi
  if ((${#skipped[@]})); then
    printf '\n!!!! %d skipped\n' ${#skipped[@]}
    printf '!!!! SKIPPED %s\n' "${skipped[@]}"
  fi
  if ((status == 0 && ${#times[@]} == 0)); then current="no such step"; status=2; fi
  if ((status)); then printf '\n==== FAILED in: %s\n' "$current"; else printf '\n==== all is well\n'; fi
  exit "$status"
}
trap report EXIT

# need COMMAND [APT PACKAGE]: installs it if it is missing. Where that fails, the steps that need it are skipped; with CI
# set in the environment it is an error.
need() {
  command -v "$1" >/dev/null && return
  local sudo=()
  ((EUID == 0)) || sudo=(sudo -n)
  if command -v apt-get >/dev/null; then
    echo "installing ${2:-$1}"
    { "${sudo[@]}" apt-get -qq update && "${sudo[@]}" apt-get -qq install -y "${2:-$1}"; } >/dev/null 2>&1 || true
  fi
  command -v "$1" >/dev/null && return
  if [[ -n ${CI:-} ]]; then echo "cannot install ${2:-$1}" >&2; exit 1; fi
  skip "${2:-$1} is missing and cannot be installed"
}

# have COMMAND..: whether all are there; a loud skip of the current step if not.
have() {
  local tool
  for tool in "$@"; do
    if ! command -v "$tool" >/dev/null; then skip "$tool is missing"; return 1; fi
  done
}

has_toolchain() {
  if ! cargo "+$1" --version >/dev/null 2>&1; then skip "the toolchain $1 is not installed"; return 1; fi
}

# Unpacks the standard library's source, from which it can be built for other targets and with other flags, and sets
# `std_source`. It fits one version of the compiler only.
unpack_std() {
  local version=1.95.0 archive=$shared/toolchain/rust-library-1.95.0.tar.gz
  if [[ ! -r $archive ]]; then skip "${archive#"$top"/} is absent"; return 1; fi
  if [[ $(rustc --version) != "rustc $version "* ]]; then
    skip "the library source is of rustc $version, this is $(rustc --version)"
    return 1
  fi
  std_source=$target/rust-library/library
  if [[ ! -d $std_source ]]; then
    mkdir -p "$target/rust-library"
    tar -xzf "$archive" -C "$target/rust-library"
  fi
}

libraries=(-p handcar-executor -p handcar-structured -p handcar-io-reactor -p handcar-sync -p handcar-hyper -p handcar)
