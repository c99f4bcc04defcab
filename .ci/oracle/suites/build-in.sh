#!/bin/bash
# build-in.sh BASE FOLDER OUTDIR: builds what lies in FOLDER/src in a container of the image BASE with the packages that
# FOLDER/build-packages names: src/build.sh is called with OUTDIR, and with OUTDIR.fault and the words of FOLDER/fault.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

[ $# -eq 3 ] || die "usage: build-in.sh BASE FOLDER OUTDIR"
folder=$(realpath "$2") out=$3
mkdir -p "$out"
mapfile -t options < <(apt_options)
read -ra packages <"$folder/build-packages"
podman_run --rm --volume "$folder:/mnt:ro" --volume "$(dirname "$(realpath "$out")"):/media" \
  --volume "$ORACLE_PACKAGES/lists:/var/lib/apt/lists" --volume "$ORACLE_PACKAGES/archives:/var/cache/apt/archives" \
  "$(load_image "$1")" bash -euc '
    out=$1
    shift
    apt-get "$@" >/dev/null
    /mnt/src/build.sh "/media/$out"
    /mnt/src/build.sh "/media/$out.fault" $(cat /mnt/fault)
  ' bash "$(basename "$out")" "${options[@]}" -o Debug::NoLocking=yes -o Dpkg::Options::=--force-unsafe-io \
  --no-download --no-install-recommends install "${packages[@]}" >"$out.log" 2>&1 ||
  { tail -n 30 "$out.log" >&2; die "the build in $folder failed"; }
