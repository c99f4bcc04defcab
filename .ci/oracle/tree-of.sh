#!/bin/bash
# tree-of.sh LAYOUT TREE.tar: the merged root tree of an image, as containers/storage reads its layers and whiteouts.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ $# -eq 2 ] || die "usage: tree-of.sh LAYOUT TREE.tar"
image=$(load_image "$1")
save_image_tree "$image" "$2"
