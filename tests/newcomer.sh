#!/usr/bin/env bash
# A newcomer's quarter hour, with nothing but curl and what README.md says: a key, a number, a trunk, a call, its events,
# its recording, its CDR. The carrier is the product's own; all of it is on loopback, in a folder that goes at the end.
#   tests/newcomer.sh [TANDEM [PORT]]     the program (by default target/debug/tandem, built if need be); the first of 64 free
#                                         ports for sound
set -euo pipefail
cd "$(dirname "$0")/.."
tandem=${1:-target/debug/tandem}
[ $# -gt 0 ] || cargo build --locked --quiet --bin tandem
tandem=$(realpath "$tandem")

# Ports that nobody has at the moment, and a range of them for sound.
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
http=$(free) sip=$(free) carrier=$(free) rtp=${2:-$((10000 + RANDOM % 9000 * 2))}

dir=$(mktemp -d) started=()
ending() {
  status=$?
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
  [ $status -eq 0 ] || { echo "--- tandem said:" && tail -40 "$dir"/*.log; } >&2
  rm -rf "$dir"
}
trap ending EXIT
cd "$dir"

step() { printf '%4ss  %s\n' "$SECONDS" "$*"; }
fail() { echo "newcomer: $*" >&2 && exit 1; }
# The first value of a name in JSON: a newcomer has no jq.
value() { grep -o "\"$1\":\"[^\"]*\"" | head -1 | cut -d'"' -f4; }
api() { curl -sS --fail-with-body --max-time 20 -H "Authorization: Bearer $key" "$@"; }
# Asks until what is answered has these words in it.
until_says() {
  local words=$1 answer='' began=$SECONDS && shift
  while ! grep -q "$words" <<<"$answer"; do
    [ $((SECONDS - began)) -lt 60 ] || fail "$* never said $words, but: $answer"
    answer=$(api "$@") || true
    sleep 0.2
  done
  printf '%s' "$answer"
}

step "a carrier that challenges, answers, speaks and hangs up"
"$tandem" carrier --listen "127.0.0.1:$carrier" --ports "$((rtp + 40))-$((rtp + 60))" --username newcomer --password secret \
  --script "challenge, ring 200ms, answer 300ms, say welcome, hangup after 6s" >carrier.log 2>&1 &
started+=($!)

step "a number and a trunk, in tandem.toml"
echo -n secret >carrier.password
cat >tandem.toml <<TOML
[http]
listen = "127.0.0.1:$http"

[sip]
listen = ["udp://127.0.0.1:$sip"]

[media]
ports = "$rtp-$((rtp + 38))"

[[trunk]]
name = "carrier"
uri = "sip:127.0.0.1:$carrier"
username = "newcomer"
password_file = "carrier.password"

[[number]]
number = "+18325550100"
TOML
"$tandem" check --config tandem.toml >check.log 2>&1

step "the switch"
"$tandem" serve --config tandem.toml >serve.log 2>&1 &
started+=($!)
curl -sS --fail --retry 100 --retry-delay 1 --retry-all-errors --max-time 60 "localhost:$http/readyz" >/dev/null 2>>curl.log

step "a key"
key=$("$tandem" key create --config tandem.toml --tenant default --scope admin 2>>key.log | grep -o 'tandem_[A-Za-z0-9]*' | head -1)
api "localhost:$http/v1/trunks" | grep -q '"carrier"' || fail "the trunk is not listed"

step "a call, while its events are listened to"
curl -sSN --max-time 120 -H "Authorization: Bearer $key" "localhost:$http/v1/events" >events.txt 2>>curl.log &
started+=($!)
call=$(api "localhost:$http/v1/calls" -H 'Content-Type: application/json' -H 'Idempotency-Key: my-first-call' -d '{
  "from": "+18325550100", "to": "+15557654321",
  "answer": [{ "play": "welcome" }, { "record": true, "beep": false, "timeout_s": 0 }] }')
sid=$(value sid <<<"$call")
until_says '"status":"completed"' "localhost:$http/v1/calls/$sid" >call.json

step "its events, as they happened and afterwards, and the ladder"
for kind in admitted dialing ringing answered played recording recorded ended; do
  grep -q "^event: $kind" events.txt || fail "no event: $kind in $(cat events.txt)"
  api "localhost:$http/v1/calls/$sid/events" | grep -q "\"type\":\"$kind\"" || fail "no event $kind afterwards"
done
api "localhost:$http/v1/calls/$sid/ladder" | grep -q '"line":"SIP/2.0 407' || fail "no challenge in the ladder"

step "its recording"
recording=$(until_says '"status":"completed"' "localhost:$http/v1/recordings?call=$sid" | value media)
api "localhost:$http$recording" -o heard.wav
[ "$(head -c4 heard.wav)" = RIFF ] && [ "$(wc -c <heard.wav)" -gt 8000 ] || fail "the recording is $(wc -c <heard.wav) octets"

step "its CDR, as JSON and as CSV"
until_says "$sid" "localhost:$http/v1/cdrs" >cdr.json
grep -q '"q850":16' cdr.json || fail "not a normal clearing: $(cat cdr.json)"
api "localhost:$http/v1/cdrs" -H 'Accept: text/csv' | grep -q "\"$sid\"" || fail "the CDR is not in the CSV"

step "done: a call of $(grep -o '"duration_ms":[0-9]*' cdr.json | head -1 | cut -d: -f2) ms, $(wc -c <heard.wav) octets heard"
