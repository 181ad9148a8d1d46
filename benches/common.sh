# Sourced by the benches that run a switch of their own: a folder and processes that go when the bench ends, the sections
# of a configuration that all of them want, and waiting for what is to be true. Sets tandem, dir and pids; TANDEM names the
# program (default: target/release/tandem).
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tandem=${TANDEM:-target/release/tandem}
dir=$(mktemp -d)
pids=()
finish() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done; rm -rf "$dir"; }
trap finish EXIT

# rim HTTP SIP PORTS: where a switch listens and keeps what it keeps; SIP as a list of TOML's strings.
rim() {
  cat <<TOML
[http]
listen = "127.0.0.1:$1"
[database]
url = "sqlite://$dir/tandem.db"
[journal]
dir = "$dir/journal"
[secrets]
key_file = "$dir/tandem.key"
[sip]
listen = [$2]
[media]
ports = "$3"
TOML
}

# unlimited: no limit of the API or of calls is in the way.
unlimited() {
  cat <<TOML
[limits]
api_requests_per_minute = 1000000
calls_per_second = 1000000
concurrent_calls = 1000000
TOML
}

# trunk NAME PLACE: one without limits, to a place on loopback, which may call too.
trunk() {
  cat <<TOML
[[tenant]]
name = "default"
[[trunk]]
name = "$1"
profile = "generic"
uri = "sip:$2"
max_cps = 100000
max_calls = 100000
accept_from = ["127.0.0.1/32"]
media_from = ["127.0.0.1/32"]
TOML
}

# number NUMBER ANSWER: what answers at a number.
number() { printf '[[number]]\nnumber = "%s"\ntenant = "default"\nanswer = { %s }\n' "$1" "$2"; }

# until_true COMMAND…: half a minute at most.
until_true() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; echo "not ready: $*" >&2; exit 1; }
