#!/bin/bash
# upgrade-with-apt.sh LAYOUT OUTDIR: what the distribution's own tools make of an image, the other half of the proof.
#
# Writes to OUTDIR: before.tar and after.tar (whole root trees), debs/ (the packages that the upgrade used),
# upgraded.tsv (package, old version, new version; "-" for none) and apt.log.
# ORACLE_ARCHIVES: a folder of .deb files kept from an earlier run, so that nothing is fetched twice.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -eq 2 ] || die "usage: upgrade-with-apt.sh LAYOUT OUTDIR"
mkdir -p "$2/debs"
out=$(realpath "$2")
[ -z "${ORACLE_ARCHIVES:-}" ] || cp -n "$ORACLE_ARCHIVES"/*.deb "$out/debs/"

image=$(load_image "$1")
save_image_tree "$image" "$out/before.tar"

# The packages are kept: they are the very input that patchkit is compared on.
# force-confdef, force-confold: an edited conffile is kept and the new one laid beside it; dpkg would ask, and fail.
# --with-new-pkgs: a fix may bring a new dependency. Nothing is ever removed by `upgrade`.
cat >"$out/upgrade.sh" <<'IN'
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get "$@" update
dpkg-query -W -f '${binary:Package}\t${Version}\n' >/mnt/before.tsv
apt-get "$@" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
  -o APT::Keep-Downloaded-Packages=true -o Dir::Cache::archives=/mnt/debs upgrade --with-new-pkgs
dpkg-query -W -f '${binary:Package}\t${Version}\n' >/mnt/after.tsv
IN

# Mounted on /mnt, a folder that every Debian has, so that the mount leaves no trace in the tree.
container=oracle-$$
trap 'podman rm -f -t 0 "$container" >/dev/null 2>&1 || true' EXIT
mapfile -t options < <(apt_options)
podman_run --name "$container" --volume "$out:/mnt" "$image" bash /mnt/upgrade.sh "${options[@]}" >"$out/apt.log" 2>&1 ||
  { tail -n 30 "$out/apt.log" >&2; die "the upgrade failed, see $out/apt.log"; }
save_tree "$(podman mount "$container")" "$out/after.tar"
podman unmount "$container" >/dev/null

join -t $'\t' -a 1 -a 2 -e - -o 0,1.2,2.2 "$out/before.tsv" "$out/after.tsv" | awk -F'\t' '$2 != $3' >"$out/upgraded.tsv"
rm -rf "$out/upgrade.sh" "$out/before.tsv" "$out/after.tsv" "$out/debs/partial" "$out/debs/lock"
echo "$(wc -l <"$out/upgraded.tsv") packages changed"
