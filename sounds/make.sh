#!/usr/bin/env bash
# Makes every prompt in this directory anew: 8 kHz, mono, 16-bit WAV. Installs nothing; needs Debian's packages:
#
#   apt-get install espeak-ng sox
#
# The same versions give the same bytes on every run (espeak-ng 1.51, sox 14.4.2; -D: no dither, -R: fixed noise).
# ./make.sh --check only measures what is here: length, level, offset, and silence at both ends.
set -euo pipefail
cd "$(dirname "$0")"

RATE=8000
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

need() {
    command -v "$1" >/dev/null || { echo "$1 is missing: apt-get install espeak-ng sox" >&2; exit 1; }
}

# speak NAME TEXT: spoken, cut to its sound, limited to the telephone's band, levelled (about -16 dBm0 while someone
# speaks, ITU-T P.56's order of magnitude), with silence at both ends.
speak() {
    espeak-ng -v en-us -s 150 -w "$WORK/$1.wav" "$2"
    sox -D -R "$WORK/$1.wav" -b 16 "$1.wav" \
        gain -6 rate -v $RATE highpass 120 \
        silence 1 0.005 0.3% reverse silence 1 0.005 0.3% fade t 0.02 reverse fade t 0.005 \
        compand 0.005,0.05 6:-60,-60,-30,-18,0,-6 norm -6 pad 0.06 0.10
}

# tone NAME FREQUENCY FREQUENCY PEAK_EACH_DBFS ON_S OFF_S REPEATS: two sines with soft edges, then silence.
tone() {
    sox -D -R -n -r $RATE -b 16 -c 2 "$WORK/$1.wav" synth "$5" sine "$2" sine "$3" gain "$4"
    sox -D -R "$WORK/$1.wav" -b 16 "$1.wav" remix 1v1,2v1 fade t 0.005 "$5" 0.005 pad 0 "$6" repeat "$7"
}

# notes NAME SECONDS NOTE...: plucked strings, one after the other.
notes() {
    local name=$1 seconds=$2 note parts=()
    shift 2
    for note in "$@"; do
        sox -D -R -n -r $RATE -b 16 "$WORK/$name-${#parts[@]}.wav" synth "$seconds" pluck "$note" gain -9 fade t 0.004 "$seconds" 0.03
        parts+=("$WORK/$name-${#parts[@]}.wav")
    done
    sox -D -R "${parts[@]}" "$WORK/$name.wav"
}

make() {
    need espeak-ng
    need sox
    speak welcome "Welcome to Tandem. Your call is connected."
    speak menu "Press one for music. Press two to say goodbye."
    speak sorry "Sorry, that was not understood."
    speak goodbye "Thank you for calling. Goodbye."

    local digit words=(zero one two three four five six seven eight nine)
    for digit in "${!words[@]}"; do
        speak "digit-$digit" "${words[$digit]}"
    done
    speak digit-star "star"
    speak digit-pound "pound"

    # The North American precise tone plan: ringback -19 dBm0 a tone, 2 s on and 4 s off; busy -24 dBm0, 0.5 and 0.5.
    # A sine that peaks at full scale is 3.17 dBm0 in mu-law (ITU-T G.711), hence -22.2 and -27.2 dBFS.
    tone ringback 440 480 -22.2 2 4 0
    tone busy 480 620 -27.2 0.5 0.5 3

    # Eight bars of four beats, 0.36 s a beat; a melody over one bass note a bar. Written for this project.
    notes melody 0.36 \
        E4 G4 C5 G4 A4 C5 E5 C5 A4 F4 A4 C5 B4 D5 B4 G4 \
        E5 D5 C5 G4 B4 G4 E4 G4 F4 A4 G4 B4 C5 G4 E4 C4
    notes bass 1.44 C3 A3 F3 G3 C3 E3 G3 C3
    sox -D -R -m -v 1 "$WORK/melody.wav" -v 0.7 "$WORK/bass.wav" -b 16 hold-music.wav \
        highpass 120 norm -10 reverse fade t 0.25 reverse fade t 0.01 pad 0.02 0.10
}

# One line a file, and a failure where a caller would hear a click, a clip or a hum.
check() {
    need sox
    local file bad=0
    printf '%-18s %7s %8s %8s %9s %9s\n' file seconds peak_dB rms_dB offset ends
    for file in *.wav; do
        local seconds stats peak rms offset head tail ends
        seconds=$(soxi -D "$file")
        stats=$(sox "$file" -n stats 2>&1)
        peak=$(awk '/^Pk lev dB/ {print $4}' <<<"$stats")
        rms=$(awk '/^RMS lev dB/ {print $4}' <<<"$stats")
        offset=$(awk '/^DC offset/ {print $3}' <<<"$stats")
        head=$(sox "$file" -n trim 0 0.002 stat 2>&1 | awk '/^Maximum amplitude/ {print $3}')
        tail=$(sox "$file" -n trim -0.02 stat 2>&1 | awk '/^Maximum amplitude/ {print $3}')
        ends=$(awk -v a="$head" -v b="$tail" 'BEGIN {print (a > b ? a : b)}')
        printf '%-18s %7.2f %8s %8s %9s %9s\n' "$file" "$seconds" "$peak" "$rms" "$offset" "$ends"
        awk -v p="$peak" -v o="$offset" -v e="$ends" -v s="$seconds" \
            'BEGIN {exit !(p > -5.5 || o > 0.002 || o < -0.002 || e > 0.02 || s > 12)}' && { echo "  $file: out of bounds" >&2; bad=1; }
        [ "$(soxi -r "$file")/$(soxi -c "$file")/$(soxi -b "$file")" = "$RATE/1/16" ] || { echo "  $file: not $RATE Hz mono 16 bit" >&2; bad=1; }
    done
    return $bad
}

case "${1:-}" in
    "")
        make
        check
        ;;
    --check) check ;;
    *) echo "usage: make.sh [--check]" >&2; exit 2 ;;
esac
