#!/usr/bin/env bash
# Floods a running switch with each of seven methods over UDP and over TCP, from other loopback addresses (127.0.0.16 to
# .23), while good calls come at 10 a second (SECURITY row 8). For each flood: the good calls completed, and the memory
# before it, at its peak, and 64·T1 + 30 s after it. Fails where a good call does, or where memory is not back within 10 %.
#
#   benches/floods.sh [SECONDS] [METHOD …]          default: 60 s each, all seven; half an hour in all
#
# RATE: messages a second (default: twice the calls a second that the switch is measured to answer). REST: seconds after
# each flood (default 62). TRANSPORTS: "udp tcp". TANDEM names the program (default: target/release/tandem).
set -euo pipefail
. "$(dirname "$0")/common.sh"
seconds=${1:-60} rest=${REST:-62}
shift || true
methods=("$@")
[ ${#methods[@]} -gt 0 ] || methods=(INVITE REGISTER OPTIONS MESSAGE SUBSCRIBE NOTIFY BYE)
read -ra transports <<< "${TRANSPORTS:-udp tcp}"

sip=${SIP_PORT:-15160} http=${HTTP_PORT:-15161}
{
  rim "$http" "\"udp://127.0.0.1:$sip\", \"tcp://127.0.0.1:$sip\"" 10000-19999
  trunk far 127.0.0.1:9
  number +18325550100 'play = "digit-1"'
  printf '[[user]]\nname = "104"\ntenant = "default"\npassword = "Correct-Horse-7-Battery"\n'
} > "$dir/tandem.toml"
# For the measurement of its capacity alone: without the limit on calls a second.
sed 's/^\[\[tenant\]\]/[limits]\ncalls_per_second = 1000000\nconcurrent_calls = 1000000\n&/' "$dir/tandem.toml" > "$dir/unlimited.toml"

cat > "$dir/flood.py" <<'PY'
"""Sends requests of one method at a rate, from eight addresses: method, transport, port, messages a second, seconds."""
import select, socket, sys, time
method, transport, port, rate, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])
target, udp = ("127.0.0.1", port), transport == "udp"
sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
def connect(nth):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    s.bind((f"127.0.0.{16 + nth}", 0))
    if not udp:
        s.settimeout(1)
        s.connect(target)
    s.setblocking(False)
    return s
def request(n, host, local):
    body, more = "", ""
    if method == "INVITE": body, more = sdp, "Content-Type: application/sdp\r\n"
    if method in ("SUBSCRIBE", "NOTIFY"): more = "Event: message-summary\r\nSubscription-State: active\r\n"
    if method == "MESSAGE": body, more = "hello", "Content-Type: text/plain\r\n"
    tag = ";tag=x" if method == "BYE" else ""
    return (f"{method} sip:104@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/{transport.upper()} {host}:{local};rport;"
        f"branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\nFrom: <sip:{n % 1000}@{host}>;tag={n}\r\nTo: <sip:104@127.0.0.1>{tag}\r\n"
        f"Call-ID: {n}@{host}\r\nCSeq: 1 {method}\r\nContact: <sip:x@{host}:{local}>\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
sockets, pending = [None] * 8, [b""] * 8
begun, n, sent, lost, opened, answers = time.monotonic(), 0, 0, 0, 0, 0
while (now := time.monotonic()) < begun + seconds:
    while n < (now - begun) * rate:
        n += 1
        nth = n % 8
        try:
            if sockets[nth] is None:
                sockets[nth], pending[nth] = connect(nth), b""
                opened += 1
            host, local = sockets[nth].getsockname()
            if udp:
                sockets[nth].sendto(request(n, host, local), target)
            elif len(pending[nth]) < 65536:
                pending[nth] += request(n, host, local)
                pending[nth] = pending[nth][sockets[nth].send(pending[nth]):]
            else:
                lost += 1
                pending[nth] = pending[nth][sockets[nth].send(pending[nth]):]
                continue
            sent += 1
        except BlockingIOError: lost += 1
        except OSError:
            lost += 1
            if sockets[nth]: sockets[nth].close()
            sockets[nth] = None
        if n % 512 == 0: break
    for s in select.select([s for s in sockets if s], [], [], 0.001)[0]:
        try:
            got = s.recv(65536)
            answers += got.count(b"SIP/2.0 ")
            if not udp and not got: raise OSError
        except BlockingIOError: pass
        except OSError:
            sockets[sockets.index(s)] = None
            s.close()
print(f"{sent / seconds:.0f} a second sent, {answers} answers" + ("" if udp else f", {opened} connections"))
PY

start() {
  TANDEM_LOG=warn "$tandem" serve --config "$1" 2>"$dir/log" & switch=$!; pids+=($switch)
  for _ in $(seq 300); do curl -fsS "http://127.0.0.1:$http/readyz" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "the switch is not ready:" >&2; tail "$dir/log" >&2; exit 1
}
# calls RATE SECONDS FILE: good calls; their figures as JSON.
calls() { "$tandem" load "sip:+18325550100@127.0.0.1:$sip" --rate "$1" --duration "$2s" --json "$3" >/dev/null 2>&1 || true; }
figure() { python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$switch/status"; }

rate=${RATE:-}
if [ -z "$rate" ]; then
  start "$dir/unlimited.toml"
  calls 4000 8 "$dir/capacity.json"
  rate=$(figure "$dir/capacity.json" 'round(2 * r["goodput"]["max"])')
  kill "$switch"; wait "$switch" 2>/dev/null || true
  rm -rf "$dir"/tandem.db* "$dir/journal"
fi
echo "floods of $rate messages a second for $seconds s each; good calls at 10 a second; memory in KiB"
start "$dir/tandem.toml"
calls 10 10 "$dir/warm.json"
sleep 5
failed=0
for transport in "${transports[@]}"; do
  for method in "${methods[@]}"; do
    before=$(resident)
    echo "$before" > "$dir/peak"
    calls 10 "$seconds" "$dir/run.json" & good=$!
    python3 "$dir/flood.py" "$method" "$transport" "$sip" "$rate" "$seconds" > "$dir/flood" & flood=$!
    pids+=($flood)
    while kill -0 "$good" 2>/dev/null; do
      now=$(resident); [ "$now" -gt "$(cat "$dir/peak")" ] && echo "$now" > "$dir/peak"
      sleep 0.2
    done
    wait "$flood" || true
    sleep "$rest"
    after=$(resident) peak=$(cat "$dir/peak")
    verdict=ok
    [ "$(figure "$dir/run.json" 'r["counts"]["answered"] == r["counts"]["due"] and r["counts"]["failed"] == 0')" = True ] || verdict="GOOD CALLS FAILED"
    [ $((after * 10)) -le $((before * 11)) ] || verdict="MEMORY DID NOT COME BACK"
    [ "$verdict" = ok ] || failed=1
    printf '%-4s %-10s good calls %s; memory %d before, %d at the peak, %d after; %s: %s\n' "$transport" "$method" \
      "$(figure "$dir/run.json" '"%d of %d" % (r["counts"]["answered"], r["counts"]["due"])')" "$before" "$peak" "$after" "$(cat "$dir/flood")" "$verdict"
  done
done
exit $failed
