#!/usr/bin/env bash
# jobs/device_kit.sh BUILD OUT [PROGRAM...]   A folder with programs of a build and every library that a machine with only
# LibTorch lacks, Open MPI included: for a GPU machine without Debian's packages, a container or a network.
#   jobs/device_kit.sh build/cuda kit            cmc and cmc-report
#   jobs/device_kit.sh build/cuda kit cmc probe_cuda
# There: OUT/bin/PROGRAM …, OUT/bin/mpirun -n 2 OUT/bin/cmc …. CMC_TORCH names torch's folder; else python3 is asked. torch
# must be of the build's version and no older glibc there. tests/device/bare_root.sh shows that nothing is missing.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,7s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
build=$1 out=$2; shift 2
programs=("$@")
[ $# -gt 0 ] || programs=(cmc cmc-report)
plugins=$(ompi_info --parsable --path pkglibdir | cut -d: -f3)
help=$(ompi_info --parsable --path pkgdatadir | cut -d: -f3)
[ -d "$plugins" ] || { echo "device_kit.sh: Open MPI 4 has no plugins at \"$plugins\"" >&2; exit 66; }

rm -rf "$out"
mkdir -p "$out"/{bin,programs,lib/openmpi3,etc,share/openmpi}
for program in "${programs[@]}"; do install -s -m 755 "$build/bin/$program" "$out/programs/$program"; done
install -m 755 "$(command -v orterun)" "$out/programs/mpirun"
install -m 755 "$(command -v orted)" "$out/programs/orted"
# One machine needs no fabric, no batch system and no shared-memory library of others; what is left names few libraries.
for plugin in "$plugins"/mca_*.so; do
  case $(basename "$plugin" .so) in
    *_ucx|*_uct|*_ofi|*_psm*|*_openib|*_usnic|*_portals4|*_cuda|*_hcoll|*_slurm|*_tm|*_gridengine|*_alps|*_lsf|*_lustre|*_pvfs2) ;;
    mca_spml_*|mca_scoll_*|mca_sshmem_*|mca_memheap_*|mca_atomic_*|*_monitoring) ;;
    *) cp "$plugin" "$out/lib/openmpi3/" ;;
  esac
done
# glibc, libstdc++, libgcc and libgomp are the other machine's; torch's and NVIDIA's lie beside its torch.
theirs='/(ld-linux[^/]*|libc|libm|libdl|librt|libpthread|libresolv|libutil|libanl|libstdc\+\+|libgcc_s|libgomp)\.so(\.[0-9.]*)?$'
theirs+='|/(libtorch|libc10|libcu(da|dart|dnn|blas|sparse|fft|rand|solver|file|pti)|libnv|libshm)[^/]*\.so(\.[0-9.]*)?$'
theirs+='|/torch/lib/|/nvidia/'
for file in "$out"/programs/* "$out"/lib/openmpi3/*; do
  ldd "$file" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// {print $3}'
done | sort -u | grep -Ev "$theirs" | while read -r library; do cp -L "$library" "$out/lib/"; done
cp "$help"/help-*.txt "$out/share/openmpi/"
: > "$out/etc/openmpi-mca-params.conf"
: > "$out/etc/openmpi-default-hostfile"

cat > "$out/bin/.run" <<'RUN'
#!/bin/sh
# Starts ../programs/NAME, NAME being how this file is called, with the kit's libraries behind those of the machine's torch.
kit=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${CMC_TORCH:-}" ]; then
  CMC_TORCH=$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])') || {
    echo "CMC_TORCH does not name torch's folder, and python3 has none" >&2; exit 66; }
  export CMC_TORCH
fi
nvidia=
for folder in "$CMC_TORCH"/../nvidia/*/lib; do [ -d "$folder" ] && nvidia=$nvidia:$folder; done
export LD_LIBRARY_PATH="$CMC_TORCH/lib$nvidia:$kit/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
# Open MPI was built for one place and holds its paths: each is given, the prefix alone is not enough.
export OPAL_PREFIX="$kit" OPAL_BINDIR="$kit/programs" OPAL_LIBDIR="$kit/lib" OPAL_PKGLIBDIR="$kit/lib/openmpi3" \
       OPAL_DATADIR="$kit/share" OPAL_PKGDATADIR="$kit/share/openmpi" OPAL_SYSCONFDIR="$kit/etc" \
       OMPI_MCA_mca_base_component_path="$kit/lib/openmpi3" PMIX_MCA_mca_base_component_show_load_errors=0 \
       PMIX_MCA_gds=hash PMIX_MCA_pcompress_base_silence_warning=1
# One machine: shared memory and loopback, ranks started by mpirun itself, any number of them, as any user.
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_plm=isolated \
       OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none \
       OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
exec "$kit/programs/$(basename "$0")" "$@"
RUN
chmod 755 "$out/bin/.run"
for program in "${programs[@]}" mpirun; do ln -s .run "$out/bin/$program"; done
du -sh "$out" >&2
