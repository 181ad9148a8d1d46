#!/usr/bin/env bash
# schemathesis asks of a running switch whatever /openapi.json says that it takes, and holds the answers to what it says
# that they are: all checks, links followed, always the same questions. tests/schemathesis.toml has the exceptions.
#   tests/schemathesis.sh [TANDEM [EXAMPLES]]     the program (by default target/debug/tandem, built if need be); cases an
#                                                 operation and phase: 15, and 500 for the long run
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/peers.sh
install_schemathesis
tool=$PWD/target/peers/schemathesis/bin/schemathesis exceptions=$PWD/tests/schemathesis.toml
[ -x "$tool" ] || exit 0
tandem=${1:-target/debug/tandem}
[ $# -gt 0 ] || cargo build --locked --quiet --bin tandem
tandem=$(realpath "$tandem")

free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
http=$(free) sip=$(free) carrier=$(free) rtp=$((10000 + RANDOM % 9000 * 2)) key=schemathesis-key-0123456789-0123456789

dir=$(mktemp -d) started=()
ending() {
  status=$?
  for pid in "${started[@]}"; do kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
  [ $status -eq 0 ] || { echo "--- tandem said:" && tail -40 "$dir/serve.log"; } >&2
  rm -rf "$dir"
}
trap ending EXIT
cd "$dir"

cat >tandem.toml <<TOML
[http]
listen = "127.0.0.1:$http"

[api]
bootstrap_key = "$key"

[sip]
listen = ["udp://127.0.0.1:$sip"]

[media]
ports = "$rtp-$((rtp + 398))"

[limits]
api_requests_per_minute = 1000000

[[trunk]]
name = "sim"
uri = "sip:127.0.0.1:$carrier"
max_cps = 100
max_calls = 100

[[number]]
number = "+18325550100"
TOML
"$tandem" carrier --listen "127.0.0.1:$carrier" --ports "$((rtp + 400))-$((rtp + 598))" \
  --script "ring 50ms, answer 100ms, hangup after 3s" >carrier.log 2>&1 &
started+=($!)
"$tandem" serve --config tandem.toml >serve.log 2>&1 &
started+=($!)
curl -sS --fail --retry 100 --retry-delay 1 --retry-all-errors --max-time 90 "localhost:$http/readyz" >/dev/null 2>>curl.log

"$tool" --config-file "$exceptions" run "http://127.0.0.1:$http/openapi.json" --no-color --checks all --seed 1 \
  --max-examples "${2:-15}" --header "Authorization: Bearer $key"
curl -sS --fail "localhost:$http/readyz" >/dev/null
if grep -E 'panicked at|ERROR' serve.log; then
  echo "schemathesis.sh: the switch logged faults" >&2
  exit 1
fi
