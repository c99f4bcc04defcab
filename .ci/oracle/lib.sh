# What the oracle's scripts share; sourced, not run.
# They need root and: podman runc skopeo docker-registry mmdebstrap debian-archive-keyring jq python3 curl xz-utils.
# shellcheck shell=bash disable=SC2016

export LC_ALL=C

die() { echo "$(basename "$0"): $*" >&2; exit 2; }

# A mirror of the archive with this label ("Debian" or "Debian-Security"), as this machine's own apt uses it, so that
# no host name is written down anywhere. ORACLE_MIRROR and ORACLE_SECURITY_MIRROR override it.
# Reads its whole input (no `head`, no `exit`): under pipefail a closed pipe would be an error.
mirror_of() {
  local uri
  uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Label: $1" | awk 'NR == 1')
  [ -n "$uri" ] || die "no apt source labelled $1 here: run apt-get update, or set ORACLE_MIRROR and ORACLE_SECURITY_MIRROR"
  echo "${uri%/}"
}
main_mirror() { echo "${ORACLE_MIRROR:-$(mirror_of Debian)}"; }
security_mirror() { echo "${ORACLE_SECURITY_MIRROR:-$(mirror_of Debian-Security)}"; }

# The lines an image of this suite has in its sources.list: the release, and the security fixes made since.
image_sources() {
  echo "deb $(main_mirror) $1 main"
  echo "deb $(security_mirror) $1-security main"
}

# The keys that sign Debian's archive, old releases included.
keyring() {
  local file=${ORACLE_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
  [ -r "$file" ] || die "no keyring at $file: install debian-archive-keyring, or set ORACLE_KEYRING"
  echo "$file"
}

# apt's options inside the image, one word a line. A frozen mirror has expired Release files: where this machine's apt
# was told not to mind, apt in the image is told the same.
apt_options() {
  printf '%s\n' -y -q
  apt-config dump --format '%f=%v%n' | sed -n 's/^Acquire::Check-\(Date\|Valid-Until\)=/-o&/p'
}

# podman as it works without systemd and without the right to raise limits (CAP_SYS_RESOURCE). Storage of our own, so
# that nothing here touches, or is slowed by, what the machine's user has. ORACLE_STORAGE says where.
: "${ORACLE_STORAGE:=${TMPDIR:-/tmp}/oracle-storage}"
podman() {
  command podman --root "$ORACLE_STORAGE/root" --runroot "$ORACLE_STORAGE/run" --storage-driver "${ORACLE_DRIVER:-overlay}" \
    --runtime runc --cgroup-manager cgroupfs --events-backend none "$@"
}
podman_run() {
  podman run --network host --ulimit nofile=1000:1000 --ulimit nproc=1000:1000 "$@"
}

# Saves a whole root tree, owners and xattrs kept. tar leaves sockets out, as a layer must.
save_tree() { # DIR TAR
  tar --create --file "$2" --directory "$1" --sort=name --numeric-owner --xattrs --xattrs-include='*' .
}

# The image that an OCI layout's first entry names, brought into podman's storage; prints its id.
load_image() { # LAYOUT
  local layout tag
  layout=$(realpath "$1")
  tag=$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"] // empty' "$layout/index.json")
  podman pull -q "oci:$layout${tag:+:$tag}"
}

# The merged root tree of an image: what its layers and whiteouts come to, by somebody else's reading of them.
save_image_tree() { # IMAGE TAR
  local mounted
  mounted=$(podman image mount "$1")
  save_tree "$mounted" "$2"
  podman image unmount "$1" >/dev/null
}

# When a release was made, in seconds since 1970. What is made here and now gets this time, so that two runs give the
# same digest; it is later than any file of the release's packages, which keep their own.
day_of_release() { # SUITE
  local file day
  file=$(mktemp)
  /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$(main_mirror)/dists/$1/Release" "$file" >/dev/null
  day=$(sed -n 's/^Date: //p' "$file")
  rm -f "$file"
  date -ud "$day" +%s
}

# This machine's apt for a system that lies in DIR: with DIR/sources.list, and DIR/status for what dpkg knows.
apt_for() { # DIR ARGUMENT...
  local dir=$1
  shift
  mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$dir/trusted"
  ln -sf "$(keyring)" "$dir/trusted"
  touch "$dir/status"
  apt-get -y -q -o APT::Sandbox::User=root -o Dir::State::status="$dir/status" -o Dir::State::lists="$dir/lists" \
    -o Dir::State::extended_states="$dir/extended_states" -o Dir::Cache::archives="$dir/archives" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::Etc::sourcelist="$dir/sources.list" \
    -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::Etc::trusted=/dev/null -o Dir::Etc::trustedparts="$dir/trusted" -o Debug::NoLocking=yes "$@"
}

# Unpacks a .deb over a root tree. Folders stay as they are (--keep-directory-symlink: a merged /usr stays merged).
unpack_deb() { # DEB ROOT
  dpkg-deb --fsys-tarfile "$1" |
    tar --extract --directory "$2" --numeric-owner --same-permissions --keep-directory-symlink --no-overwrite-dir
}

# Moves a file among the blobs of a layout, and prints "DIGEST SIZE".
add_blob() { # LAYOUT FILE
  local hex size
  hex=$(sha256sum <"$2" | cut -d' ' -f1) size=$(stat -c %s "$2")
  mv "$2" "$1/blobs/sha256/$hex"
  echo "sha256:$hex $size"
}

# Makes an OCI layout of a root tree: one gzip layer, as old as SOURCE_DATE_EPOCH; prints the digest of its manifest. A
# layout is three JSON documents beside the layer: writing them here keeps every byte ours, and reproducible.
write_layout() { # ROOT.tar LAYOUT TAG CREATED-BY COMMAND
  local new=$2.new architecture created diff_id layer layer_size config config_size manifest manifest_size
  architecture=$(dpkg --print-architecture)
  created=$(date -ud "@$SOURCE_DATE_EPOCH" +%FT%TZ)
  mkdir -p "$new/blobs/sha256"
  diff_id=sha256:$(sha256sum <"$1" | cut -d' ' -f1)
  gzip -n -6 "$1"
  read -r layer layer_size < <(add_blob "$new" "$1.gz")

  jq -nS --arg arch "$architecture" --arg diff "$diff_id" --arg created "$created" --arg by "$4" --arg command "$5" '{
    created: $created, architecture: $arch, os: "linux",
    config: {Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: [$command]},
    rootfs: {type: "layers", diff_ids: [$diff]},
    history: [{created: $created, created_by: $by}]}' >"$new/config.json"
  read -r config config_size < <(add_blob "$new" "$new/config.json")

  jq -nS --arg c "$config" --argjson cs "$config_size" --arg l "$layer" --argjson ls "$layer_size" '{
    schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $c, size: $cs},
    layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: $l, size: $ls}]}' >"$new/manifest.json"
  read -r manifest manifest_size < <(add_blob "$new" "$new/manifest.json")

  jq -nS --arg m "$manifest" --argjson ms "$manifest_size" --arg tag "$3" --arg arch "$architecture" '{
    schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $m, size: $ms,
      platform: {architecture: $arch, os: "linux"},
      annotations: {"org.opencontainers.image.ref.name": $tag}}]}' >"$new/index.json"
  echo '{"imageLayoutVersion":"1.0.0"}' >"$new/oci-layout"
  mv "$new" "$2"
  echo "$manifest"
}
