#!/usr/bin/env bash
# kill -9 of the switch at random moments under load (calls made by HTTP and calls that come in, on PostgreSQL, which is
# killed at random too, and may be away when the switch starts again): afterwards every admitted call has one CDR, and every
# event has reached its webhook under one id.
#
#   benches/crash.sh [KILLS] [CALLS_A_SECOND] [SEED]     default: 50 kills, 25 calls a second by each way, seed 1
#
# TANDEM names the program that is killed (default: target/release/tandem, which is built first). Without PostgreSQL it fails.
set -euo pipefail
. "$(dirname "$0")/durability.sh"
export CRASHES=${1:-50} CALLS_A_SECOND=${2:-25} CRASH_SEED=${3:-1}
durability crashes::killed_at_random_moments_with_its_database_it_books_every_admitted_call_once_and_tells_every_event
