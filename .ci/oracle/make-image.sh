#!/bin/bash
# make-image.sh SUITE LAYOUT [PACKAGE...]: a Debian minbase image as an OCI layout (one gzip layer, tag SUITE).
#
# It is made from the release's main archive alone, hence as vulnerable as the release is old, while its sources.list
# names the security archive too: that is what there is to upgrade. Same SUITE, packages and archive: same digest.
# ORACLE_MERGED_USR=yes: /bin, /lib and /sbin are links into /usr in a release before bookworm too, where Debian's own
# images have folders there and its installer made links.
# shellcheck disable=SC2016 # what is in single quotes is expanded by mmdebstrap's shell
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 2 ] || die "usage: make-image.sh SUITE LAYOUT [PACKAGE...]"
suite=$1 layout=$2
shift 2
packages=$(IFS=,; echo "$*")
[ ! -e "$layout" ] || die "$layout is there already"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
image_sources "$suite" >"$work/sources.list"

SOURCE_DATE_EPOCH=$(day_of_release "$suite")
export SOURCE_DATE_EPOCH

# What is this machine's must not get into the digest: hostname and resolv.conf (a container runtime brings its own), and
# the number of the user _apt here, to whom apt's own way of cleaning up would give the folders that it leaves. Those
# belong to the package apt and must stay.
options=(--quiet --mode=root --variant=minbase --keyring="$(keyring)")
[ -z "$packages" ] || options+=(--include="$packages")
[ "${ORACLE_MERGED_USR:-no}" = no ] ||
  options+=(--setup-hook='cd "$1" && mkdir -p usr/bin usr/sbin usr/lib usr/lib64 && ln -s usr/bin usr/sbin usr/lib usr/lib64 .')
mmdebstrap "${options[@]}" \
  --customize-hook='rm -f "$1/etc/hostname" "$1/etc/resolv.conf"' \
  --skip=cleanup/apt --customize-hook='cd "$1" && rm -rf var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*
    mkdir -m 700 var/lib/apt/lists/partial var/cache/apt/archives/partial' \
  --customize-hook="upload $work/sources.list /etc/apt/sources.list" \
  "$suite" "$work/root.tar" "deb $(main_mirror) $suite main"

write_layout "$work/root.tar" "$layout" "$suite" "mmdebstrap --variant=minbase" bash
