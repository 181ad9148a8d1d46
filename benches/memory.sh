#!/usr/bin/env bash
# What a call that stands costs the switch in memory: calls played to, and calls bridged to a trunk, RTP from every far end, CDRs
# and events on. What is resident with all of them up, less what was with a tenth of them, by the calls between.
#
#   benches/memory.sh [CALLS]     default: 1,000
#
# TANDEM names the program (default: target/release/tandem).
set -euo pipefail
. "$(dirname "$0")/common.sh"
calls=${1:-1000}
sip=9060 http=9061 far=9070
{
  rim $http "\"udp://127.0.0.1:$sip\"" 10000-21999
  unlimited
  trunk far "127.0.0.1:$far"
  number +18325550100 'play = "welcome", loop = 0'
  number +18325550101 'bridge = "+18325550199"'
} > "$dir/tandem.toml"
"$tandem" carrier --listen 127.0.0.1:$far --ports 22000-31998 --script answer --json >/dev/null 2>&1 & pids+=($!)

# resident NUMBER CALLS FILE: one run; what was resident in its last five seconds of calls that stand, in bytes.
resident() {
  "$tandem" load "sip:$1@127.0.0.1:$sip" --held "$2" --rate 100 --duration "$(($2 / 100 + 12))s" --media send --pid "$switch" \
    --json "$3" >"$3.table" 2>&1
  python3 -c 'import json,sys
run = json.load(open(sys.argv[1]))
assert run["counts"]["failed"] == 0 and run["most_standing"] == int(sys.argv[2]), run["counts"]
standing = run["used_per_second"][int(sys.argv[2]) // 100 + 5:int(sys.argv[2]) // 100 + 10]
print(round(sum(used["rss_bytes"] for used in standing) / len(standing)))' "$3" "$2"
}

for way in "played to:+18325550100" "bridged:+18325550101"; do
  TANDEM_LOG=warn "$tandem" serve --config "$dir/tandem.toml" 2>"$dir/log" & switch=$!; pids+=($switch)
  until_true curl -fsS "http://127.0.0.1:$http/readyz"
  few=$(resident "${way##*:}" $((calls / 10)) "$dir/few.json")
  all=$(resident "${way##*:}" "$calls" "$dir/all.json")
  python3 -c 'import sys
way, calls, few, all = sys.argv[1], *map(int, sys.argv[2:])
print(f"{way}: {few / 1e6:.1f} MB with {calls // 10} calls, {all / 1e6:.1f} MB with {calls}: {(all - few) / (calls * 0.9) / 1000:.1f} KB a call")' \
    "${way%%:*}" "$calls" "$few" "$all"
  kill "$switch"; wait "$switch" || true
done
