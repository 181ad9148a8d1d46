#!/usr/bin/env bash
# Calls that come and go for an hour: whether what the switch holds in memory stays where it is. Half of the calls hear a
# prompt, half are bridged to a trunk whose far end answers; each sends RTP and is hung up after five seconds. CDRs and events are on.
#
#   benches/churn.sh [SECONDS] [CALLS_A_SECOND]     default: 3,600 s, 40 calls a second
#
# Prints the resident memory of each tenth of the time, and ends with 1 where a call failed or the last tenth holds over
# 5 % more than the third: the first two fill what is bounded (ended transactions, ladders, the database's cache).
# TANDEM names the program (default: target/release/tandem).
set -euo pipefail
. "$(dirname "$0")/common.sh"
seconds=${1:-3600} rate=${2:-40}
sip=9060 http=9061 far=9070
{
  rim $http "\"udp://127.0.0.1:$sip\"" 10000-31999
  unlimited
  trunk far "127.0.0.1:$far"
  number +18325550100 'play = "welcome", loop = 0'
  number +18325550101 'bridge = "+18325550199"'
} > "$dir/tandem.toml"

"$tandem" carrier --listen 127.0.0.1:$far --ports 32000-45998 --script answer --json >/dev/null 2>&1 & pids+=($!)
TANDEM_LOG=warn "$tandem" serve --config "$dir/tandem.toml" 2>"$dir/log" & switch=$!; pids+=($switch)
until_true curl -fsS "http://127.0.0.1:$http/readyz"

loads=()
for way in played:+18325550100 bridged:+18325550101; do
  "$tandem" load "sip:${way##*:}@127.0.0.1:$sip" --rate $((rate / 2)) --duration "${seconds}s" --hold 5s --media send \
    --pid "$switch" --json "$dir/${way%%:*}.json" >"$dir/${way%%:*}.table" 2>&1 & loads+=($!); pids+=($!)
done
for load in "${loads[@]}"; do wait "$load" || true; done
python3 - "$dir/played.json" "$dir/bridged.json" <<'PY'
import json, sys
bad = False
for path in sys.argv[1:]:
    run = json.load(open(path))
    counts, name = run["counts"], path.rsplit("/", 1)[1][:-5]
    print(f'{name}: {counts["answered"]} of {counts["due"]} answered, {counts["failed"]} failed')
    bad |= counts["failed"] > 0
samples = [used["rss_bytes"] / 1e6 for used in run["used_per_second"]]
tenth = len(samples) // 10
means = [sum(samples[n * tenth:(n + 1) * tenth]) / tenth for n in range(10)]
print("resident, MB, by tenths of the time:", " ".join(f"{mean:.1f}" for mean in means))
grown = means[9] / means[2]
print(f"the last tenth holds {grown:.3f} of what the third holds")
sys.exit(bad or grown > 1.05)
PY
