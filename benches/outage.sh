#!/usr/bin/env bash
# PostgreSQL killed under load: no CDR is lost, none is there twice, no webhook is lost, /health is degraded and then healthy;
# how long a POST and a set-up take before and during.
#
#   benches/outage.sh [SECONDS] [CALLS_A_SECOND]     default: 60 s, 20 calls a second by HTTP and 20 that come in
#
# TANDEM names the program (default: target/release/tandem, which is built first). Without PostgreSQL it fails.
set -euo pipefail
. "$(dirname "$0")/durability.sh"
export OUTAGE_S=${1:-60} OUTAGE_CALLS_A_SECOND=${2:-20}
durability outage::a_database_that_is_killed_for_a_while_costs_no_call_no_row_and_no_time
