#!/bin/sh
# build.sh OUTDIR [CFLAG...]: the program, which binds its library's functions only when it calls them, and the library.
set -eu
cd "$(dirname "$0")"
out=$1
shift
mkdir -p "$out/usr/local/bin" "$out/usr/local/lib"
library=$out/usr/local/lib/libgreet.so.1
gcc -O2 -g0 -Wall -Wextra -Werror -fPIC -shared -Wl,-soname,libgreet.so.1 -Wl,-z,defs "$@" greet.c -o "$library" -lcrypto -lz
[ $# -gt 0 ] || gcc -O2 -g0 -Wall -Wextra -Werror -Wl,-z,lazy main.c -o "$out/usr/local/bin/greet" "$library"
