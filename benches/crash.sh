#!/usr/bin/env bash
# kill -9 of the switch at random moments under load (calls made by HTTP and calls that come in, on PostgreSQL, which is
# killed at random too): afterwards every admitted call has one CDR, and every event has reached its webhook under one id.
#
#   benches/crash.sh [KILLS] [CALLS_A_SECOND] [SEED]     default: 50 kills, 25 calls a second by each way, seed 1
#
# TANDEM names the program that is killed (default: target/release/tandem).
set -euo pipefail
cd "$(dirname "$0")/.."
export TANDEM=${TANDEM:-$PWD/target/release/tandem} CRASHES=${1:-50} CALLS_A_SECOND=${2:-25} CRASH_SEED=${3:-1}
exec cargo test --locked --test durability -- --nocapture killed_at_random
