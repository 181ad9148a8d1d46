#!/bin/sh
# Makes the voice beside it (espeak-ng, sox, ffmpeg 5): the voice, G.722 as FFmpeg encodes it, and that as FFmpeg decodes it.
set -eu
cd "$(dirname "$0")"
espeak-ng -v en-us -s 170 -w /tmp/voice.wav "The quick brown fox, at twenty past seven"
sox /tmp/voice.wav -r 16000 -b 16 -c 1 voice-16000.wav gain -n -6 trim 0 1.6
ffmpeg -loglevel error -y -i voice-16000.wav -c:a g722 -f g722 voice.g722
ffmpeg -loglevel error -y -f g722 -i voice.g722 -c:a pcm_s16le -bitexact voice-g722.wav
