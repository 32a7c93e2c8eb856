#!/usr/bin/env bash
# Configures and builds a preset (default: release). LibTorch comes from Torch_DIR or CMAKE_PREFIX_PATH, else from the
# virtual environment: that of setup.sh --cuda for the preset cuda. The programs land in build/<preset>/bin/; the preset
# test adds the tests to build/release. CMC_WERROR=ON makes warnings errors (continuous integration). The compiler is the one that
# CXX names, else g++, else where that is older than 12 a newer one beside it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset=${1:-release}
venv=$PWD/.venv
[ "$preset" = cuda ] && venv=$PWD/.venv-cuda
python=${CMC_VENV:-$venv}/bin/python
[ -x "$python" ] || python=python3
version=$(g++ -dumpversion 2>/dev/null || echo 0)
if [ -z "${CXX:-}" ] && [ "${version%%.*}" -lt 12 ]; then
  for newer in 14 13 12; do
    if command -v "g++-$newer" >/dev/null; then export CXX=g++-$newer CC=gcc-$newer; break; fi
  done
  [ -n "${CXX:-}" ] || { echo "build.sh: no g++ 12 or later: jobs/setup.sh installs it; or name a compiler in CXX" >&2; exit 66; }
fi
export CCACHE_DEPEND=1  # a miss does not preprocess first
options=(-DCMC_PYTHON="$python")
[ -z "${CMC_WERROR:-}" ] || options+=(-DCMC_WERROR="$CMC_WERROR")
if [ -z "${Torch_DIR:-}${CMAKE_PREFIX_PATH:-}" ]; then
  options+=(-DCMAKE_PREFIX_PATH="$("$python" -c 'import torch; print(torch.utils.cmake_prefix_path)')")
fi
cmake --preset "$preset" "${options[@]}" >&2
cmake --build --preset "$preset" >&2
