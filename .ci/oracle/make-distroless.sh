#!/bin/bash
# make-distroless.sh SUITE LAYOUT PACKAGE...: packages with what they need and nothing else, as distroless images are made.
#
# The .debs of the release's main archive unpacked by dpkg-deb, and for each in status.d its control file and md5sums. No
# package manager, no scripts run, and of the documentation the copyright files only, as in Google's images. Beside the
# layout: LAYOUT.debs, what apt would upgrade in a system of these packages with the security archive.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -ge 3 ] || die "usage: make-distroless.sh SUITE LAYOUT PACKAGE..."
suite=$1 layout=$2
shift 2
[ ! -e "$layout" ] || die "$layout is there already"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root status=$work/root/var/lib/dpkg/status.d
SOURCE_DATE_EPOCH=$(day_of_release "$suite")
export SOURCE_DATE_EPOCH

image_sources "$suite" | sed -n 1p >"$work/sources.list"
apt_for "$work" update >/dev/null
apt_for "$work" install --download-only --no-install-recommends "$@" >/dev/null
mkdir -p "$status"
for deb in "$work"/archives/*.deb; do
  package=$(dpkg-deb --field "$deb" Package)
  unpack_deb "$deb" "$root"
  dpkg-deb --control "$deb" "$work/control"
  install -m 644 "$work/control/control" "$status/$package"
  install -m 644 "$work/control/md5sums" "$status/$package.md5sums"
  # For apt, below: the same with what dpkg would say of it.
  { sed '/^$/d' "$work/control/control"; printf 'Status: install ok installed\n\n'; } >>"$work/known"
  rm -rf "$work/control" "$deb"
done
find "$root/usr/share/doc" ! -type d ! -name copyright -delete
find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
# No xattrs: the form of tar that has them has the times of reading, too.
tar --create --file "$work/root.tar" --directory "$root" --sort=name --numeric-owner --format=gnu .

mv "$work/known" "$work/status"
image_sources "$suite" >"$work/sources.list"
apt_for "$work" update >/dev/null
apt_for "$work" upgrade --download-only --with-new-pkgs >/dev/null
mkdir "$layout.debs"
mv "$work"/archives/*.deb "$layout.debs"
write_layout "$work/root.tar" "$layout" "$suite" "dpkg-deb --extract" sh
