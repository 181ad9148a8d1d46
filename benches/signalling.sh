#!/usr/bin/env bash
# What one INVITE-200-ACK-BYE costs the switch: answered by itself, and bridged to a trunk. The switch has a core of its
# own, the load (and the trunk's far end) another; CDRs are on, [limits] is lifted; three runs each, the median counts.
#
#   benches/signalling.sh [RATE] [SECONDS] [WARM]   default: 3,000 calls a second for 12 s; bridged, half as many; WARM
#                                                 (35) seconds of the same before: ended transactions are kept for 64*T1
#                                                 (32 s), and what a switch at work costs is known after that
#   benches/signalling.sh overload [PERCENT]         with so much of its core (30 %): the most calls a second it takes, goodput
#                                                 at twice that rate, and a light load ten seconds later
#
# TANDEM names the program (default: target/release/tandem). A machine that does something else meanwhile shows it in
# the lateness that each run prints.
set -euo pipefail
. "$(dirname "$0")/common.sh"
switch_core=1 load_core=0

# Below the RTP ports, all of which are used: each rests for two seconds after a call.
sip=9060 http=9061 far=9070
{
  rim $http "\"udp://127.0.0.1:$sip\"" 10000-31999
  echo 'threads = 1'
  unlimited
  trunk far "127.0.0.1:$far"
  number +18325550100 'play = "welcome"'
  number +18325550101 'bridge = "+18325550199"'
} > "$dir/tandem.toml"

taskset -c $load_core "$tandem" carrier --listen 127.0.0.1:$far --ports 32000-59998 --script answer --json >/dev/null 2>&1 & pids+=($!)
TANDEM_LOG=warn taskset -c $switch_core "$tandem" serve --config "$dir/tandem.toml" 2>"$dir/log" & switch=$!; pids+=($switch)
until_true curl -fsS "http://127.0.0.1:$http/readyz"

# load NUMBER RATE SECONDS FILE: one run; its table goes to standard error.
load() {
  taskset -c $load_core "$tandem" load "sip:$1@127.0.0.1:$sip" --rate "$2" --duration "$3s" --pid "$switch" --json "$4" >"$4.table" 2>&1
}
# figure FILE EXPRESSION: out of a run's JSON, which is called r.
figure() { python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }

line='"%d of %d answered, %d failed; %.3f ms of CPU a call (%.0f %% of the core); INVITE-200 p50 %.2f p99 %.2f ms; lateness p99 %.2f ms; %.0f MB" % (r["counts"]["answered"], r["counts"]["due"], r["counts"]["failed"], r["processes"][0]["cpu_ms_per_call"], r["processes"][0]["cpu_percent"], r["latency"]["answer"]["p50_ms"], r["latency"]["answer"]["p99_ms"], r["latency"]["lateness"]["p99_ms"], r["processes"][0]["rss_bytes"] / 1e6)'

# Where the load cannot saturate the switch, the switch gets a part of its core: percent.
quota() {
  local cpu=/sys/fs/cgroup/cpu
  if [ -w $cpu/cpu.shares ]; then
    group=$cpu/tandem-bench-$$; mkdir "$group"
    echo 10000 > "$group/cpu.cfs_period_us"; echo $(($1 * 100)) > "$group/cpu.cfs_quota_us"
  elif [ -w /sys/fs/cgroup/cgroup.procs ]; then
    group=/sys/fs/cgroup/tandem-bench-$$; mkdir "$group"; echo "$(($1 * 100)) 10000" > "$group/cpu.max"
  else
    echo "no cgroup can be made here: the switch has its whole core" >&2; return
  fi
  echo "$switch" > "$group/cgroup.procs"
  trap 'finish; rmdir "$group"' EXIT
}

if [ "${1:-}" = overload ]; then
  quota "${2:-30}"
  good='"%.0f" % r["goodput"]["mean"]'
  most=0 rate=600
  while rate=$((rate + 200)); load +18325550100 "$rate" 10 "$dir/run.json" || true
    goodput=$(figure "$dir/run.json" "$good")
    echo "$rate a second: goodput $goodput; $(figure "$dir/run.json" "$line")"
    [ "$goodput" -gt $((most * 102 / 100)) ]; do most=$goodput; done
  echo "the most is $most a second; now twice that:"
  for step in $((2 * most)) 100; do
    load +18325550100 "$step" 20 "$dir/run.json" || true
    echo "$step a second: goodput $(figure "$dir/run.json" "$good"), $(figure "$dir/run.json" "'%.0f' % (100 * r['goodput']['mean'] / $most)") % of the most; $(figure "$dir/run.json" "$line")"
    echo "    refused (reason, calls, p50 ms, p99 ms): $(figure "$dir/run.json" 'sorted((f["reason"], f["calls"], round(f["latency"]["p50_ms"], 2), round(f["latency"]["p99_ms"], 2)) for f in r["failures"])')"
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
