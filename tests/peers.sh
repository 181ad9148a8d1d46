# Sourced by tests/run and .ci/run: the Debian packages that the tests and builds use.
#   cc, c++      build-essential   ring, SQLite and libFuzzer are compiled here
#   sipp         sip-tester        the carrier, and a caller
#   baresip      baresip           a phone
#   kamailio     kamailio          a carrier's proxy
#   linphonec    linphone-cli      a phone with two calls
#   sipsak       sipsak            what administrators ask with
#   python3      python3, -venv    the conformance runner; sipvicious
#   espeak-ng    espeak-ng         the voice of `say`
#   lame         lame              MP3 of recordings
#   postgres     postgresql        the store's other database
#   redis-server redis-server     what API rates are shared through
#   tshark       tshark            what reads a call's pcap
#   sngrep       sngrep            what hears what goes to a HEP collector
install_packages() {
  local missing=()
  command -v cc >/dev/null && command -v c++ >/dev/null || missing+=(build-essential)
  command -v sipp >/dev/null || missing+=(sip-tester)
  command -v baresip >/dev/null || missing+=(baresip)
  command -v kamailio >/dev/null || [ -x /usr/sbin/kamailio ] || missing+=(kamailio)
  command -v linphonec >/dev/null || missing+=(linphone-cli)
  command -v sipsak >/dev/null || missing+=(sipsak)
  command -v python3 >/dev/null || missing+=(python3)
  python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  command -v lame >/dev/null || missing+=(lame)
  command -v espeak-ng >/dev/null || missing+=(espeak-ng)
  command -v redis-server >/dev/null || missing+=(redis-server)
  command -v tshark >/dev/null || missing+=(tshark)
  command -v sngrep >/dev/null || missing+=(sngrep)
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
  [ ${#missing[@]} -eq 0 ] && return 0
  local root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  echo "installing ${missing[*]}"
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The official twilio package (PyPI), which checks our signatures, into target/peers; where pip cannot, its test says so and
# is left out.
install_twilio() {
  [ -x target/peers/twilio/bin/python ] && target/peers/twilio/bin/python -c 'import twilio' 2>/dev/null && return 0
  python3 -m venv target/peers/twilio 2>/dev/null &&
    target/peers/twilio/bin/pip install -q twilio==9.13.0 2>/dev/null || { rm -rf target/peers/twilio; echo "twilio is not installed"; }
}

# pocketsphinx (PyPI), a recogniser with its English in it, into target/peers; where pip cannot, as above.
install_pocketsphinx() {
  [ -x target/peers/pocketsphinx/bin/python ] && target/peers/pocketsphinx/bin/python -c 'import pocketsphinx' 2>/dev/null && return 0
  python3 -m venv target/peers/pocketsphinx 2>/dev/null &&
    target/peers/pocketsphinx/bin/pip install -q pocketsphinx==5.1.1 2>/dev/null || { rm -rf target/peers/pocketsphinx; echo "pocketsphinx is not installed"; }
}

# sipvicious (PyPI), the tool that strangers come with, into target/peers; where pip cannot, its tests say so and are left
# out.
install_sipvicious() {
  [ -x target/peers/sipvicious/bin/sipvicious_svwar ] && return 0
  python3 -m venv target/peers/sipvicious 2>/dev/null &&
    target/peers/sipvicious/bin/pip install -q sipvicious==0.3.8 2>/dev/null || echo "sipvicious is not installed"
}

# schemathesis (PyPI), which asks of the API what /openapi.json says of it, into target/peers; as above.
install_schemathesis() {
  [ -x target/peers/schemathesis/bin/schemathesis ] && return 0
  python3 -m venv target/peers/schemathesis 2>/dev/null &&
    target/peers/schemathesis/bin/pip install -q schemathesis==4.32.5 2>/dev/null || echo "schemathesis is not installed"
}
