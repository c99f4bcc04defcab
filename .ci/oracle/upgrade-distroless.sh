#!/bin/bash
# upgrade-distroless.sh LAYOUT DEBS OUT.tar: the root tree that a distroless image should have with newer packages.
#
# There is no tool of Debian's for images without dpkg, so this is the plainest reading of what they are: the .debs of the
# folder DEBS unpacked by dpkg-deb over the old ones, and for each a control file and its md5sums in status.d. Files that
# the old md5sums name and no new package has are removed; links the old package had are not known to the image.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -eq 3 ] || die "usage: upgrade-distroless.sh LAYOUT DEBS OUT.tar"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root status=$work/root/var/lib/dpkg/status.d
save_image_tree "$(load_image "$1")" "$work/base.tar"
mkdir "$root"
tar --extract --file "$work/base.tar" --directory "$root" --numeric-owner --same-permissions --xattrs --xattrs-include='*'

for deb in "$2"/*.deb; do
  package=$(dpkg-deb --field "$deb" Package)
  [ -e "$status/$package" ] || die "$package is not in the image"
  rm -rf "$work/control"
  dpkg-deb --control "$deb" "$work/control"
  # Gone are the names in the old list that the new one lacks. A line is `MD5  NAME`.
  comm -23 <(cut -c35- "$status/$package.md5sums" | sort) <(cut -c35- "$work/control/md5sums" | sort) |
    while read -r gone; do rm -f "$root/$gone"; done
  unpack_deb "$deb" "$root"
  install -m 644 "$work/control/control" "$status/$package"
  install -m 644 "$work/control/md5sums" "$status/$package.md5sums"
done
save_tree "$root" "$3"
