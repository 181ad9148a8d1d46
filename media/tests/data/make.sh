#!/bin/sh
# Makes the audio beside it (ffmpeg 5 with libmp3lame and libvorbis). 300 ms at half scale: mono is 1000 Hz, stereo is
# 1000 Hz left and 400 Hz right.
set -eu
cd "$(dirname "$0")"
mono="aevalsrc=0.5*sin(2*PI*1000*t):d=0.3"
stereo="aevalsrc=0.5*sin(2*PI*1000*t)|0.5*sin(2*PI*400*t):d=0.3"
make() { # source rate options... file
    source=$1 rate=$2
    shift 2
    ffmpeg -v error -y -f lavfi -i "$source:s=$rate" -map_metadata -1 -fflags +bitexact -flags:a +bitexact "$@"
}
for rate in 8000 16000 44100 48000; do
    make "$mono" $rate -c:a libmp3lame -b:a 32k "mono-$rate.mp3"
    make "$mono" $rate -c:a libvorbis -q:a 1 "mono-$rate.ogg"
    make "$stereo" $rate -c:a libmp3lame -b:a 64k "stereo-$rate.mp3"
    make "$stereo" $rate -c:a libvorbis -q:a 2 "stereo-$rate.ogg"
done
make "$mono" 8000 -c:a flac -sample_fmt s16 mono-8000.flac
make "$mono" 16000 -c:a flac -sample_fmt s16 mono-16000.flac
make "$stereo" 44100 -c:a flac -sample_fmt s16 -compression_level 12 stereo-44100.flac
make "$stereo" 48000 -c:a flac -sample_fmt s16 -compression_level 12 stereo-48000.flac
make "$mono" 8000 -c:a pcm_mulaw mono-8000-mulaw.wav
make "$mono" 8000 -c:a pcm_alaw mono-8000-alaw.wav
# Two whole blocks of 2,041 samples: the encoder would fill up the last one with silence.
make "${mono%0.3}0.51025" 8000 -c:a adpcm_ima_wav mono-8000-adpcm.wav
