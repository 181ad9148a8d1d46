#!/usr/bin/env bash
# Ten thousand calls over every fault of SIP, on virtual time: tests/simulation/nightly. The seed is the day's, or
# SIM_SEED; where a law is broken, the seed and the line that replays it are printed. A few minutes on two cores.
#
#   benches/nightly.sh [CALLS]          default: 10000
set -euo pipefail
cd "$(dirname "$0")/.."
export SIM_CALLS=${1:-10000} SIM_SEED=${SIM_SEED:-$(date -u +%Y%m%d)}
echo "$SIM_CALLS calls by seed $SIM_SEED"
exec cargo test --locked --profile bench --test simulation -- nightly --nocapture
