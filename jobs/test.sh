#!/usr/bin/env bash
# Set-up, build and all tests. Further arguments go to ctest, e.g. jobs/test.sh -R token_map
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs/setup.sh --tests --models
jobs/build.sh ci
export CMC_MODELS=${CMC_MODELS:-$PWD/models} CMC_DATA=${CMC_DATA:-$PWD/../shared/data}
export OMP_WAIT_POLICY=passive  # tests share cores: a thread that spins while it waits takes another test's
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 HF_HUB_OFFLINE=1
ctest --test-dir build/release --output-on-failure --no-tests=error -j "$(nproc)" "$@"
