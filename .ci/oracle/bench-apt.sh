#!/bin/bash
# bench-apt.sh LAYOUT: how long the usual way takes: apt-get upgrade in a container, commit, push to a registry.
#
# Prints one `name value` a line: seconds of each step and in all, and the bytes of the layer that it makes. What is
# not counted is to apt's favour: bringing the image into podman's storage, and starting the registry.
# ORACLE_ARCHIVES=DIR: the packages lie there already (a warm cache); else they are fetched (a cold one).
# ORACLE_TIDY=yes: the lists and caches of apt are removed before the commit, as a careful Dockerfile does.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -eq 1 ] || die "usage: bench-apt.sh LAYOUT"
work=$(mktemp -d)
container=oracle-bench-$$ registry=
clean() {
  [ -z "$registry" ] || kill "$registry"
  podman rm -f -t 0 "$container" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT

# A registry of our own: a free port, nothing kept.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/registry.yml" <<YML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$port"}
YML
docker-registry serve "$work/registry.yml" 2>"$work/registry.log" &
registry=$!
base="http://127.0.0.1:$port/v2"
curl -sf --retry 50 --retry-delay 0 --retry-connrefused --retry-max-time 10 -o "$work/answer" "$base/" ||
  { cat "$work/registry.log" >&2; die "the registry does not answer"; }

# The base is in the registry before, as it is where an image is patched: only the new layer is to be pushed.
image=$(load_image "$1")
storage="containers-storage:[${ORACLE_DRIVER:-overlay}@$ORACLE_STORAGE/root+$ORACLE_STORAGE/run]"
push() { skopeo copy --quiet --dest-tls-verify=false "$storage$1" "docker://127.0.0.1:$port/bench:$2"; }
push "$image" base

cat >"$work/upgrade.sh" <<'IN'
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get "$@" update
apt-get "$@" upgrade --with-new-pkgs
[ "$TIDY" = no ] || { apt-get clean; rm -rf /var/lib/apt/lists/*; }
IN
mounts=(--volume "$work/upgrade.sh:/mnt/upgrade.sh:ro")
if [ -n "${ORACLE_ARCHIVES:-}" ]; then
  mkdir "$work/debs"
  cp "$ORACLE_ARCHIVES"/*.deb "$work/debs/"
  mounts+=(--volume "$work/debs:/var/cache/apt/archives")
fi
mapfile -t options < <(apt_options)

now() { date +%s.%N; }
seconds() { awk -v a="$2" -v b="$3" -v name="$1" 'BEGIN { printf "%s %.2f\n", name, b - a }'; }
start=$(now)
podman_run --name "$container" --env TIDY="${ORACLE_TIDY:-no}" "${mounts[@]}" "$image" bash /mnt/upgrade.sh "${options[@]}" \
  >"$work/apt.log" 2>&1 || { tail -n 30 "$work/apt.log" >&2; die "the upgrade failed"; }
upgraded=$(now)
patched=$(podman commit -q "$container" 2>/dev/null)
committed=$(now)
push "$patched" patched
pushed=$(now)

seconds upgrade_seconds "$start" "$upgraded"
seconds commit_seconds "$upgraded" "$committed"
seconds push_seconds "$committed" "$pushed"
seconds total_seconds "$start" "$pushed"
accept='Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json'
curl -sf -H "$accept" "$base/bench/manifests/patched" | jq -r '"layer_bytes \(.layers[-1].size)"'
podman rmi "$patched" >/dev/null 2>&1 || true
