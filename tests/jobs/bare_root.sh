#!/usr/bin/env bash
# tests/jobs/bare_root.sh [options] [-- ctest arguments]   Runs the README's two commands as a newcomer would: in a root that
# debootstrap makes, with nothing but Debian's smallest system, a clone of HEAD and a clean environment. It checks that the second
# command compiles nothing again, and that its last lines name what was left out. As root, from minutes (a warm ccache, a few
# tests) to hours; mounts lie in a namespace of its own and go with it. ctest's arguments must leave a test that wants data sets.
#   --root DIR        the root, which stays; a root that is there is used again (default: a new folder, removed at the end)
#   --suite NAME      Debian's release (default: bookworm)
#   --mirror URL      default: the first one in this machine's /etc/apt
#   --at PATH         where the clone lies in the root (default: /srv/cmc)
#   --set KEY=VALUE   a setting of the run of mini, repeatable
#   --ccache DIR      a ccache to share, with the CCACHE_* variables of the environment
#   --env NAME=VALUE  a variable that the newcomer has set, repeatable
set -euo pipefail
usage() { sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
if [ -z "${CMC_BARE_ROOT:-}" ]; then
  [ "$(id -u)" -eq 0 ] || { echo "bare_root.sh: as root" >&2; exit 77; }
  command -v debootstrap >/dev/null || { echo "bare_root.sh: no debootstrap; apt-get install debootstrap" >&2; exit 66; }
  kept=
  for ((i = 1; i < $#; ++i)); do [ "${!i}" != --root ] || { i=$((i + 1)); kept=${!i}; }; done
  root=${kept:-$(mktemp -d)}
  mkdir -p "$root"
  [ -n "$kept" ] || trap 'rm -rf "$root"' EXIT
  CMC_BARE_ROOT=$(realpath "$root") unshare --mount --pid --fork --kill-child "${BASH_SOURCE[0]}" "$@"
  exit
fi

root=$CMC_BARE_ROOT suite=bookworm mirror='' at=/srv/cmc ccache='' settings=()
home=/root newcomer=("HOME=$home" "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" LANG=C.UTF-8 TERM=dumb)
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --root) ;;
    --suite) suite=$2 ;;
    --mirror) mirror=$2 ;;
    --at) at=$2 ;;
    --set) settings+=(--set "$2") ;;
    --ccache) ccache=$(realpath "$2") ;;
    --env) newcomer+=("$2") ;;
    *) usage ;;
  esac
  shift 2
done
[ $# -eq 0 ] || shift
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
say() { echo "bare_root: $*"; }

first_mirror() {
  { sed -n 's/^deb .*\(http[^ ]*\).*/\1/p' /etc/apt/sources.list
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources; } 2>/dev/null | head -n 1
}

share() {  # a folder of this machine, at the same place in the root or at $2
  mkdir -p "$root${2:-$1}"
  mount --bind "$1" "$root${2:-$1}"
}

take() {  # the same of a folder to read, or a file: a copy, since packages replace files of theirs
  local place=$root${2:-$1}
  if [ -d "$1" ]; then
    share "$1" "${2:-$1}"
    mount -o remount,bind,ro "$place"
  else
    mkdir -p "$(dirname "$place")"
    cp -L "$1" "$place"
  fi
}

# Where pip is told to look: its files of settings, and the files and folders that they and PIP_* name.
share_pip() {
  local variable file word
  for variable in $(compgen -e | grep '^PIP_'); do newcomer+=("$variable=${!variable}"); done
  for file in $(python3 -m pip config debug 2>/dev/null | sed -n 's/^ *\(.*\), exists: True$/\1/p' | sort -u); do
    case $file in "$HOME"/*) take "$file" "$home/${file#"$HOME"/}" ;; *) take "$file" ;; esac
  done
  for word in $(python3 -m pip config list 2>/dev/null | sed "s/^[^=]*=//; s/'//g"); do
    word=${word#file://}
    case $word in */simple) word=${word%/simple} ;; esac  # an index: its files lie beside it
    case $word in /*) [ ! -e "$word" ] || take "$word" ;; esac
  done
  # Authorities of this site go into the list of them that the package ca-certificates makes.
  if [ -d /usr/local/share/ca-certificates ]; then take /usr/local/share/ca-certificates; fi
}

if [ ! -e "$root/etc/debian_version" ]; then
  say "$suite from this machine's mirror into $root"
  debootstrap --variant=minbase "$suite" "$root" "${mirror:-$(first_mirror)}" > "$root.log" 2>&1 || { tail "$root.log"; exit 69; }
  rm "$root.log"
fi
apt-config dump | grep -E '^Acquire::(http|https|Check)' > "$root/etc/apt/apt.conf.d/99machine" || true
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
share_pip
if [ -n "$ccache" ]; then
  share "$ccache" /ccache
  for variable in $(compgen -e | grep '^CCACHE_'); do newcomer+=("$variable=${!variable}"); done
  newcomer+=(CCACHE_DIR=/ccache)
fi
rm -rf "${root:?}$at"
git clone --quiet --no-hardlinks "$source" "$root$at"

failed=0
check() {  # what, then a command
  local what=$1; shift
  if "$@"; then say "ok: $what"; else say "FAILED: $what"; failed=1; fi
}
type_in() { chroot "$root" /usr/bin/env -i "${newcomer[@]}" bash -c "cd $at && $(printf '%q ' "$@")" 2>&1 | tee "$root/tmp/said"; }
objects() { (cd "$root$at/build/release" && find . -name '*.cpp.o' -printf '%p %T@\n' | sort); }

check "jobs/reproduce.sh mini" type_in jobs/reproduce.sh mini "${settings[@]}"
[ $failed = 0 ] || exit 1
check "a report" test -s "$root$at/results/mini/report/index.html"
objects > "$root/tmp/first"
check "objects were made: $(wc -l < "$root/tmp/first")" test -s "$root/tmp/first"
check "jobs/test.sh $*" type_in jobs/test.sh "$@"
objects > "$root/tmp/second"
check "nothing compiled again ($(($(wc -l < "$root/tmp/second") - $(wc -l < "$root/tmp/first"))) objects added)" \
  test -z "$(comm -23 "$root/tmp/first" "$root/tmp/second" | tee "$root/tmp/again")"
check "the end says what was left out" grep -q '^left out, for what is not on this machine: [1-9]' "$root/tmp/said"
check "and how to get it" grep -q 'is missing: jobs/fetch.sh data' "$root/tmp/said"
exit $failed
