#!/usr/bin/env bash
# This switch against Kamailio with rtpengine, under the same load: calls that are bridged back to the load itself, so that
# both legs of each are measured. First media (CALLS calls kept up, PCMU both ways), then set-up (RATE calls a second). The
# target has a core of its own, the load another; rtpengine forwards in user space. Prints the ratios, writes a page each.
#
#   benches/versus.sh [CALLS] [SECONDS] [RATE]      default: 300 calls for 30 s, then 200 calls a second for 20 s
#
# TANDEM names the program (default: target/release/tandem), LOAD the one that makes the load (default: the same), OUT
# where the pages and the JSON go (default: target/versus).
# Debian's kamailio and rtpengine-daemon are installed where they are missing. A machine that does something else meanwhile
# shows it in the lateness of the load's own packets, which each page shows.
set -euo pipefail
. "$(dirname "$0")/common.sh"
generator=${LOAD:-$tandem} out=${OUT:-target/versus}
calls=${1:-300} seconds=${2:-30} rate=${3:-200}
target_core=1 load_core=0

PATH=$PATH:/usr/sbin
missing=()
command -v kamailio >/dev/null || missing+=(kamailio)
command -v rtpengine >/dev/null || missing+=(rtpengine-daemon)
if [ ${#missing[@]} -gt 0 ]; then
  root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  # Installed, it is not to run by itself: here it is started with a configuration of its own.
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Ports that nobody has now, below Linux's ephemeral range.
free() { python3 - "$1" <<'PY'
import socket, sys
found, port = [], 9000
while len(found) < int(sys.argv[1]):
    port += 1
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as s: s.bind(("127.0.0.1", port))
        found.append(port)
    except OSError: pass
print(*found)
PY
}
read -r http sip load proxy ng < <(free 5)
far="127.0.0.1:$load"

{
  rim "$http" "\"udp://127.0.0.1:$sip\"" 10000-19999
  echo 'threads = 1'
  unlimited
  trunk load "$far"
  number +18325550100 'bridge = "+18325550199"'
} > "$dir/tandem.toml"

cat > "$dir/kamailio.cfg" <<CFG
debug=0
log_stderror=yes
fork=yes
children=2
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:$proxy
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:$ng")
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) { rtpengine_delete(); t_relay(); } exit; }
  if (has_totag()) {
    if (is_method("BYE")) { rtpengine_delete(); }
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
    sl_send_reply("404", "Not here");
    exit;
  }
  record_route();
  if (is_method("INVITE")) { rtpengine_offer("replace-origin replace-session-connection ICE=remove"); t_on_reply("answer"); }
  \$du = "sip:$far";
  t_relay();
}
onreply_route[answer] {
  if (has_body("application/sdp")) { rtpengine_answer("replace-origin replace-session-connection ICE=remove"); }
}
CFG

listens() { ss -lun "sport = :$1" | grep -q "127.0.0.1:$1"; }

TANDEM_LOG=warn taskset -c $target_core "$tandem" serve --config "$dir/tandem.toml" 2>"$dir/tandem.log" & switch=$!; pids+=($switch)
# --table=-1: without the kernel's module, which a container does not have.
taskset -c $target_core rtpengine --config-file=none --table=-1 --interface=127.0.0.1 --listen-ng="127.0.0.1:$ng" \
  --port-min=20000 --port-max=29999 --num-threads=1 --foreground --log-stderr --log-level=3 >"$dir/rtpengine.log" 2>&1 & engine=$!; pids+=($engine)
mkdir "$dir/run"
taskset -c $target_core kamailio -DD -E -m 256 -M 16 -f "$dir/kamailio.cfg" -Y "$dir/run" -P "$dir/run/pid" >"$dir/kamailio.log" 2>&1 & proxied=$!; pids+=($proxied)
until_true curl -fsS "http://127.0.0.1:$http/readyz"
until_true listens "$proxy"
until_true listens "$ng"
# Kamailio is several processes, and all of them count.
peers=$engine,$proxied,$(pgrep -P "$proxied" | paste -sd,)

mkdir -p "$out"
# versus NAME ARGS…: one load on both.
versus() {
  local name=$1
  shift
  taskset -c $load_core "$generator" load --against "tandem=sip:+18325550100@127.0.0.1:$sip" --pid "$switch" \
    --against "kamailio+rtpengine=sip:+18325550100@127.0.0.1:$proxy" --pid "$peers" \
    --bind "$far" --answer --media-ports 40000-59999 --json "$out/$name.json" --html "$out/$name.html" "$@" 2>"$dir/$name.log" ||
    { tail -n 20 "$dir/$name.log" >&2; return 1; }
}

echo "Kamailio $(kamailio -v | sed -n '1s/.*kamailio \([0-9.]*\).*/\1/p'), rtpengine $(rtpengine --version 2>&1 | sed 's/.*: //; s/git-HEAD-//' | head -1)"
echo "bridged, $calls calls kept up for $seconds s:"
versus media --media send --held "$calls" --rate 50 --duration "${seconds}s"
echo
echo "bridged, $rate calls a second for 20 s, without media:"
versus calls --rate "$rate" --duration 20s --hold 0s
echo
echo "pages: $out/media.html $out/calls.html"
