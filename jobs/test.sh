#!/usr/bin/env bash
# Set-up, build and all tests. Further arguments go to ctest, e.g. jobs/test.sh -R token_map
# Tests that need data sets or models which are not here are left out and told at the end; CMC_MISSING=fail: they fail.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs/setup.sh --tests --models
jobs/build.sh test
export CMC_MODELS=${CMC_MODELS:-$PWD/models} CMC_DATA=${CMC_DATA:-$PWD/data}
export OMP_WAIT_POLICY=passive  # tests share cores: a thread that spins while it waits takes another test's
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 HF_HUB_OFFLINE=1
export CMC_LEFT_OUT=$PWD/build/release/left_out.txt
rm -f "$CMC_LEFT_OUT"
ctest --test-dir build/release --output-on-failure --no-tests=error -j "$(nproc)" "$@" && code=0 || code=$?
if [ -s "$CMC_LEFT_OUT" ]; then
  echo "left out, for what is not on this machine: $(wc -l < "$CMC_LEFT_OUT") tests" >&2
  cut -f2 "$CMC_LEFT_OUT" | sort | uniq -c | sort -rn >&2
fi
exit "$code"
