#!/bin/bash
# check-tree.sh TREE.tar OUTDIR: does the distribution itself find the tree in order? Runs its tools inside a copy.
#
# Exit status 1 when it does not, with the reasons. OUTDIR gets what each tool said (audit, verify, apt-check,
# upgradable, ldconfig), to be compared by `diff -r` with what the same tools say of the tree that apt made.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -eq 2 ] || die "usage: check-tree.sh TREE.tar OUTDIR"
mkdir -p "$2"
out=$(realpath "$2")
root=$(mktemp -d)
trap 'rm -rf "$root" "$out/check.sh"' EXIT
tar --extract --file "$1" --directory "$root" --numeric-owner --xattrs --xattrs-include='*'

# One folder is mounted, on /mnt. ldconfig comes last: it must find that the cache it would write is there already.
cat >"$out/check.sh" <<'IN'
set -u
faults=0
fault() { echo "check-tree: $*" >&2; faults=1; }
cd /mnt

dpkg --audit >audit 2>&1 && [ ! -s audit ] || fault "dpkg --audit is not clean: $(cat audit)"
dpkg --verify >verify 2>&1 || true
! grep -v '^??5?????? c ' verify || fault "dpkg --verify finds files that are not the packages'"

apt-get "$@" update >update 2>&1 || fault "apt-get update failed: $(cat update)"
apt-get check >apt-check 2>&1 || fault "apt-get check: $(cat apt-check)"
apt list --upgradable 2>/dev/null | grep -v ^Listing >upgradable
[ ! -s upgradable ] || fault "packages are left to upgrade: $(cat upgradable)"

ldconfig -p >ldconfig
cp -p /etc/ld.so.cache /tmp/ld.so.cache
ldconfig
cmp -s /etc/ld.so.cache /tmp/ld.so.cache || fault "ld.so.cache is not what ldconfig makes of this tree"
ldd_of() { ldd "$1" 2>/dev/null | grep 'not found'; }
for program in /bin/* /usr/bin/*; do
  [ -z "$(ldd_of "$program")" ] || fault "$program lacks libraries: $(ldd_of "$program")"
done
rm -f update
exit $faults
IN
mapfile -t options < <(apt_options)
podman_run --rm --volume "$out:/mnt" --rootfs "$root" bash /mnt/check.sh "${options[@]}"
