#!/usr/bin/env bash
# tests/device/bare_root.sh KIT SITE_PACKAGES   Runs a kit of jobs/device_kit.sh in a root that holds the kit, the folder with
# torch, a shell, glibc and libstdc++, and nothing else. As root (mounts in a namespace of its own), a few minutes. The kit
# holds cmc and cmc-report; test programs (*_test) in it are run too.
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
kit=$(realpath "$1") site=$(realpath "$2")
if [ -z "${CMC_BARE_ROOT:-}" ]; then
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  CMC_BARE_ROOT=$root unshare --mount --pid --fork "${BASH_SOURCE[0]}" "$kit" "$site"
  exit
fi

root=$CMC_BARE_ROOT
mount -t tmpfs tmpfs "$root"
mkdir -p "$root"/{bin,lib64,lib/x86_64-linux-gnu,dev,proc,tmp,kit,site,etc}
for tool in sh dirname basename env ls mkdir cat grep; do cp -L "$(command -v $tool)" "$root/bin/"; done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
for library in libc.so.6 libm.so.6 libdl.so.2 librt.so.1 libpthread.so.0 libutil.so.1 libresolv.so.2 libanl.so.1 \
    libstdc++.so.6 libgcc_s.so.1 libgomp.so.1; do
  cp -L "/usr/lib/x86_64-linux-gnu/$library" "$root/lib/x86_64-linux-gnu/"
done
for library in libselinux.so.1 libpcre2-8.so.0; do  # of ls, mkdir and grep, out of the programs' way
  mkdir -p "$root/tools"
  cp -L "/usr/lib/x86_64-linux-gnu/$library" "$root/tools/"
done
echo 'root:x:0:0::/tmp:/bin/sh' > "$root/etc/passwd"
echo '127.0.0.1 localhost' > "$root/etc/hosts"
mount --bind "$kit" "$root/kit"
mount --bind "$site" "$root/site"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"

failed=0
check() {  # what, then a command in the bare root
  local what=$1; shift
  if chroot "$root" /bin/env -i PATH=/bin HOME=/tmp TMPDIR=/tmp OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive CMC_TORCH=/site/torch "$@" > "$root/tmp/log" 2>&1; then
    echo "ok: $what"
  else
    echo "FAILED ($?): $what"
    tail -n 25 "$root/tmp/log"
    failed=1
  fi
}
mini="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/jobs/experiments/mini.ini"
cp "$mini" "$root/tmp/mini.ini"
check "cmc doctor" /kit/bin/cmc doctor
check "cmc-report --help" /kit/bin/cmc-report --help
check "a plan" /kit/bin/cmc plan /tmp/mini.ini
small=()  # every stage, as little of each as makes sense
for setting in world.documents=400 pretrain.steps=6 prepare.epochs=1 train_instruct.items=32 train_instruct.epochs=1 \
    train_unlearn.epochs=2 adapt_instruct.epochs=1 adapt_unlearn.epochs=1 similarity.items=2 similarity.new_tokens=6 \
    similarity.other_items=16 instruct.items=6 instruct.new_tokens=8 instruct.unit_items=6 unlearn.items=4 \
    unlearn.new_tokens=6 compute.device=cpu; do small+=(--set "$setting"); done
check "two ranks run every stage" /kit/bin/mpirun -n 2 /kit/bin/cmc run /tmp/mini.ini --output /tmp/mini "${small[@]}"
check "a report" /kit/bin/cmc-report /tmp/mini
for program in "$kit"/bin/*_test; do
  [ -e "$program" ] && check "$(basename "$program")" "/kit/bin/$(basename "$program")" --gtest_brief=1
done
exit $failed
