#!/bin/bash
# fetch-packages.sh BASE DIR FILE...: fetches the packages that the files name, and all that these need beside the image
# BASE, from the release's main archive: to DIR/archives, each once, with the lists in DIR/lists.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

[ $# -ge 3 ] || die "usage: fetch-packages.sh BASE DIR FILE..."
base=$1 dir=$2
shift 2
mkdir -p "$dir/archives/partial" "$dir/lists/partial"

mapfile -t options < <(apt_options)
mapfile -t packages < <(cat "$@" | tr ' ' '\n')
podman_run --rm --volume "$dir/lists:/var/lib/apt/lists" --volume "$dir/archives:/var/cache/apt/archives" \
  "$(load_image "$base")" bash -euc '
    sed -i /-security/d /etc/apt/sources.list
    options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    apt-get "${options[@]}" update
    apt-get "${options[@]}" --download-only --no-install-recommends install "$@"
  ' bash "${options[@]}" -o APT::Sandbox::User=root -- "${packages[@]}" >"$dir/log" 2>&1 ||
  { tail -n 30 "$dir/log" >&2; die "not all packages could be fetched"; }
