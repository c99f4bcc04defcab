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
