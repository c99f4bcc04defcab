#!/bin/bash
# add-application.sh CASE BASE LAYOUT [FOLDER...]: an image with an application and its tests.
#
# That is the image BASE and one layer more: the packages that CASE/packages names, the files of CASE/root and of each
# FOLDER. ORACLE_PACKAGES is what fetch-packages.sh fetched. Same inputs, same digest: what is made here and now gets
# the time of SOURCE_DATE_EPOCH, and logs, caches and keys made while installing are left out.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib.sh"

[ $# -ge 3 ] || die "usage: add-application.sh CASE BASE LAYOUT [FOLDER...]"
case=$1 base=$2 layout=$3
shift 3
work=$(mktemp -d)
container=oracle-$case-$$
trap 'podman rm -f -t 0 "$container" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

mkdir "$work/files"
for folder in "$here/$case/root" "$@"; do
  [ ! -d "$folder" ] || cp -R --preserve=mode "$folder/." "$work/files/"
done
chmod -R u=rwX,go=rX "$work/files"

# policy-rc.d: nothing is started while packages are installed.
cat >"$work/install.sh" <<'IN'
set -eu
export DEBIAN_FRONTEND=noninteractive
cp -R --preserve=mode /mnt/files/. /
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get "$@"
rm -f /usr/sbin/policy-rc.d
ldconfig
IN
mapfile -t options < <(apt_options)
read -ra packages <"$here/$case/packages"
podman_run --name "$container" --volume "$work:/mnt:ro" \
  --volume "$ORACLE_PACKAGES/lists:/var/lib/apt/lists" --volume "$ORACLE_PACKAGES/archives:/var/cache/apt/archives" \
  "$(load_image "$base")" bash /mnt/install.sh "${options[@]}" -o Debug::NoLocking=yes \
  -o Dpkg::Options::=--force-unsafe-io \
  --no-download --no-install-recommends install "${packages[@]}" >"$work/log" 2>&1 ||
  { tail -n 30 "$work/log" >&2; die "the packages of $case could not be installed"; }

# What overlayfs has above the base is the layer, as long as nothing of the base is gone (that would be device 0,0).
upper=$(podman inspect --format '{{.GraphDriver.Data.UpperDir}}' "$container")
[ -z "$(find "$upper" -type c)" ] || die "$case removes files of its base: $(find "$upper" -type c)"
tar --create --file "$work/layer.tar" --directory "$upper" --sort=name --numeric-owner \
  --clamp-mtime --mtime="@$SOURCE_DATE_EPOCH" --xattrs --xattrs-include='security.*' \
  --exclude='./dev/*' --exclude='./mnt' --exclude='./proc' --exclude='./run/*' --exclude='./sys' \
  --exclude='./etc/hostname' --exclude='./etc/hosts' --exclude='./etc/mtab' --exclude='./etc/resolv.conf' \
  --exclude='./etc/ssl/private/ssl-cert-*' --exclude='./etc/ssl/certs/ssl-cert-*' \
  --exclude='./var/cache/apt/*' --exclude='./var/cache/ldconfig/*' --exclude='./var/lib/apt/lists/*' \
  --exclude='./var/log/*.log' --exclude='./var/log/apt/*' .

cp -r "$base" "$layout"
created=$(date -ud "@$SOURCE_DATE_EPOCH" +%FT%TZ)
umoci raw add-layer --image "$layout:bullseye" --history.created "$created" --history.created_by "$case" "$work/layer.tar"
[ ! -r "$here/$case/config" ] || xargs umoci config --image "$layout:bullseye" --created "$created" --no-history <"$here/$case/config"
umoci gc --layout "$layout"
