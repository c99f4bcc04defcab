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

# What was made here and now gets this time, so that two runs give the same digest. The day of the release is later than
# any file of its packages: those keep their own.
/usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$(main_mirror)/dists/$suite/Release" "$work/Release" >/dev/null
SOURCE_DATE_EPOCH=$(date -ud "$(sed -n 's/^Date: //p' "$work/Release")" +%s)
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

# A layout is three JSON documents beside the layer: writing them here keeps every byte ours, and reproducible.
mkdir -p "$work/layout/blobs/sha256"
add_blob() { # FILE: moves it among the blobs, prints "DIGEST SIZE"
  local hex size
  hex=$(sha256sum <"$1" | cut -d' ' -f1) size=$(stat -c %s "$1")
  mv "$1" "$work/layout/blobs/sha256/$hex"
  echo "sha256:$hex $size"
}
diff_id=sha256:$(sha256sum <"$work/root.tar" | cut -d' ' -f1)
gzip -n -6 "$work/root.tar"
read -r layer layer_size < <(add_blob "$work/root.tar.gz")

jq -nS --arg arch "$(dpkg --print-architecture)" --arg diff "$diff_id" --arg created "$(date -ud "@$SOURCE_DATE_EPOCH" +%FT%TZ)" '{
  created: $created, architecture: $arch, os: "linux",
  config: {Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["bash"]},
  rootfs: {type: "layers", diff_ids: [$diff]},
  history: [{created: $created, created_by: "mmdebstrap --variant=minbase"}]}' >"$work/config.json"
read -r config config_size < <(add_blob "$work/config.json")

jq -nS --arg c "$config" --argjson cs "$config_size" --arg l "$layer" --argjson ls "$layer_size" '{
  schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: $cs},
  layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $l, size: $ls}]}' >"$work/manifest.json"
read -r manifest manifest_size < <(add_blob "$work/manifest.json")

jq -nS --arg m "$manifest" --argjson ms "$manifest_size" --arg tag "$suite" --arg arch "$(dpkg --print-architecture)" '{
  schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
  manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $m, size: $ms,
    platform: {architecture: $arch, os: "linux"},
    annotations: {"org.opencontainers.image.ref.name": $tag}}]}' >"$work/layout/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"

mkdir -p "$(dirname "$layout")"
mv "$work/layout" "$layout"
echo "$manifest"
