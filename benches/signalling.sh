#!/usr/bin/env bash
# What one INVITE-200-ACK-BYE costs the switch: answered by itself, and bridged to a trunk. The switch has a core of its
# own, the load (and the trunk's far end) another; CDRs are on, [limits] is lifted; three runs each, the median counts.
#
#   benches/signalling.sh [RATE] [SECONDS] [WARM]   default: 3,000 calls a second for 12 s; bridged, half as many; WARM
#                                                 (35) seconds of the same before: ended transactions are kept for 64*T1
#                                                 (32 s), and what a switch at work costs is known after that
#   benches/signalling.sh overload [RATE]           goodput at RATE (2,000) and at twice that, and what is left behind
#
# TANDEM names the program (default: target/release/tandem). A machine that does something else meanwhile shows it in
# the lateness that each run prints.
set -euo pipefail
cd "$(dirname "$0")/.."
tandem=${TANDEM:-target/release/tandem}
switch_core=1 load_core=0
dir=$(mktemp -d)
pids=()
finish() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done; rm -rf "$dir"; }
trap finish EXIT

# Below the RTP ports, all of which are used: each rests for two seconds after a call.
sip=9060 http=9061 far=9070
cat > "$dir/tandem.toml" <<TOML
[http]
listen = "127.0.0.1:$http"
[database]
url = "sqlite://$dir/tandem.db"
[journal]
dir = "$dir/journal"
[secrets]
key_file = "$dir/tandem.key"
[sip]
listen = ["udp://127.0.0.1:$sip"]
[media]
ports = "10000-31999"
threads = 1
[limits]
api_requests_per_minute = 1000000
calls_per_second = 1000000
concurrent_calls = 1000000
[[tenant]]
name = "default"
[[trunk]]
name = "far"
profile = "generic"
uri = "sip:127.0.0.1:$far"
max_cps = 100000
max_calls = 100000
accept_from = ["127.0.0.1/32"]
media_from = ["127.0.0.1/32"]
[[number]]
number = "+18325550100"
tenant = "default"
answer = { play = "welcome" }
[[number]]
number = "+18325550101"
tenant = "default"
answer = { bridge = "+18325550199" }
TOML

until_ready() { for _ in $(seq 300); do curl -fsS "http://127.0.0.1:$http/readyz" >/dev/null 2>&1 && return; sleep 0.1; done; echo "the switch is not ready" >&2; exit 1; }
taskset -c $load_core "$tandem" carrier --listen 127.0.0.1:$far --ports 32000-59998 --script answer --json >/dev/null 2>&1 & pids+=($!)
TANDEM_LOG=warn taskset -c $switch_core "$tandem" serve --config "$dir/tandem.toml" 2>"$dir/log" & switch=$!; pids+=($switch)
until_ready

# load NUMBER RATE SECONDS FILE: one run; its table goes to standard error.
load() {
  taskset -c $load_core "$tandem" load "sip:$1@127.0.0.1:$sip" --rate "$2" --duration "$3s" --pid "$switch" --json "$4" >"$4.table" 2>&1
}
# figure FILE EXPRESSION: out of a run's JSON, which is called r.
figure() { python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }

line='"%d of %d answered, %d failed; %.3f ms of CPU a call (%.0f %% of the core); INVITE-200 p50 %.2f p99 %.2f ms; lateness p99 %.2f ms; %.0f MB" % (r["counts"]["answered"], r["counts"]["due"], r["counts"]["failed"], r["processes"][0]["cpu_ms_per_call"], r["processes"][0]["cpu_percent"], r["latency"]["answer"]["p50_ms"], r["latency"]["answer"]["p99_ms"], r["latency"]["lateness"]["p99_ms"], r["processes"][0]["rss_bytes"] / 1e6)'

if [ "${1:-}" = overload ]; then
  rate=${2:-2000}
  # 503s by themselves, with their latency; then a moderate load ten seconds later: all is as before.
  refused='sorted((f["reason"], f["calls"], f["latency"]["p50_ms"], f["latency"]["p99_ms"]) for f in r["failures"])'
  for step in "$rate" "$((2 * rate))" 100; do
    load +18325550100 "$step" 20 "$dir/run.json" || true
    echo "$step a second: goodput $(figure "$dir/run.json" '"%.0f" % r["goodput"]["mean"]') a second; $(figure "$dir/run.json" "$line")"
    echo "    failures (reason, calls, p50 ms, p99 ms): $(figure "$dir/run.json" "$refused")"
    echo "    the load itself: $(figure "$dir/run.json" 'r["generator"]["limits"] or "not the limit"')"
    sleep 10
  done
  exit
fi

rate=${1:-3000} seconds=${2:-12} warm=${3:-35}
for way in "answered locally:+18325550100" "bridged:+18325550101"; do
  [ "${way%%:*}" = bridged ] && rate=$((rate / 2))
  echo "${way%%:*}, $rate calls a second for $seconds s:"
  load "${way##*:}" "$rate" "$warm" "$dir/warm.json" || true
  for run in 1 2 3; do
    load "${way##*:}" "$rate" "$seconds" "$dir/run$run.json" || true
    echo "  $(figure "$dir/run$run.json" "$line")"
  done
  echo "  median $(for run in 1 2 3; do figure "$dir/run$run.json" '"%.3f" % r["processes"][0]["cpu_ms_per_call"]'; done | sort -n | sed -n 2p) ms of CPU a call"
done
