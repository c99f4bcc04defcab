#!/bin/bash
# in-podman.sh LAYOUT SUITE OUTDIR: runs a suite in an image by podman, as a second opinion.
#
# Writes to OUTDIR: outcomes.tsv (one test a line, sorted: outcome, identity), ready.txt (milliseconds until all services
# were), coverage.json where the suite has some, and what each command printed. It reads only as much of a suite's file
# as the suites here use.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib.sh"

[ $# -eq 3 ] || die "usage: in-podman.sh LAYOUT SUITE OUTDIR"
layout=$1 file=$(realpath "$2") out=$3
mkdir -p "$out"
container=oracle-$(basename "$out")-$$
trap 'podman rm -f -t 0 "$container" >/dev/null 2>&1 || true' EXIT
suite=$(ruby -ryaml -rjson -e 'puts JSON.generate(YAML.load_file(ARGV[0]))' "$file")

of() { jq -r "$1" <<<"$suite"; } # JQ
words() { jq -r --argjson of "$1" -n '$of[] | @base64' | while read -r word; do base64 -d <<<"$word"; printf '\0'; done; } # ARRAY

start() {
  local image options=()
  image=$(load_image "$layout")
  config=$(podman image inspect --format '{{json .Config}}' "$image")
  while read -r pair; do options+=(--env "$pair"); done < <(of '(.environment.env // {}) | to_entries[] | "\(.key)=\(.value)"')
  while read -r pair; do options+=(--volume "$(dirname "$file")/$pair:ro"); done < <(of '.fixtures[]? | "\(.source):\(.target)"')
  podman run -d --network none --ulimit nofile=1000:1000 --ulimit nproc=1000:1000 --name "$container" \
    "${options[@]}" --entrypoint sleep "$image" 600 >/dev/null
}

# Runs what an entry of the suite names, as the user and where it says.
entry() { # ENTRY
  local command options=()
  mapfile -t options < <(jq -r '(select(.user) | "--user", .user), (select(.workdir) | "--workdir", .workdir)' <<<"$1")
  mapfile -d '' -t command < <(words "$(jq -c --argjson config "$config" '.command // (($config.Entrypoint // []) + ($config.Cmd // []))' <<<"$1")")
  podman exec "${options[@]}" "$container" "${command[@]}"
}

is_ready() { # READY LOG
  local port pattern
  port=$(jq -r '.port // .http.port // empty' <<<"$1") pattern=$(jq -r '.log // empty' <<<"$1")
  if [ -n "$pattern" ]; then grep -q "$pattern" "$2"; else podman exec "$container" bash -c "</dev/tcp/127.0.0.1/$port" 2>/dev/null; fi
}

serve() {
  local service name began=${EPOCHREALTIME/./}
  while read -r service; do
    name=$(jq -r .name <<<"$service")
    entry "$service" >"$out/$name.log" 2>&1 &
    for ((tries = 0; ; tries++)); do
      ! is_ready "$(jq -c .ready <<<"$service")" "$out/$name.log" || break
      [ $tries -lt 300 ] || { cat "$out/$name.log" >&2; die "$name did not become ready"; }
      sleep 0.1
    done
  done < <(of '.services[]? | tojson')
  echo $(((${EPOCHREALTIME/./} - began) / 1000)) >"$out/ready.txt"
}

test_all() {
  local test name format report status from
  while read -r test; do
    name=$(jq -r .name <<<"$test") format=$(jq -r '.report.format // "exit-code"' <<<"$test") status=passed
    entry "$test" >"$out/$name.out" 2>"$out/$name.err" </dev/null || status=failed
    report=$(jq -r '.report.file // empty' <<<"$test")
    from=$name.out
    [ -z "$report" ] || { from=$name.report && podman exec "$container" cat "$report" >"$out/$from"; }
    case $format in
      exit-code) printf '%s\t%s\n' "$status" "$name" ;;
      *) "$here/outcomes.py" "$format" "$name" "$out/$from" ;;
    esac
    report=$(jq -r '.coverage.file // empty' <<<"$test")
    [ -z "$report" ] || podman exec "$container" cat "$report" >"$out/coverage.json"
  done < <(of '.tests[] | tojson') | sort >"$out/outcomes.tsv"
}

start
serve
test_all
