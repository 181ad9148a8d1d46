#!/usr/bin/env bash
# PostgreSQL killed under load: no CDR is lost, none is there twice, /health is degraded and then healthy; how long a POST
# and a set-up take before and during.
#
#   benches/outage.sh [SECONDS] [CALLS_A_SECOND]     default: 60 s, 20 calls a second by HTTP and 20 that come in
#
# TANDEM names the program (default: target/release/tandem).
set -euo pipefail
cd "$(dirname "$0")/.."
export TANDEM=${TANDEM:-$PWD/target/release/tandem} OUTAGE_S=${1:-60} OUTAGE_CALLS_A_SECOND=${2:-20}
exec cargo test --locked --test durability -- --nocapture a_database_that_is_killed
