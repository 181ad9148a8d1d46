"""A recogniser in OpenAI's form (`POST /v1/audio/transcriptions`) for tests/speech.rs: pocketsphinx (PyPI) with the English
that comes with it. It knows the words of the hints and no others. A line of JSON a request on standard output."""
import audioop
import email.parser
import http.server
import io
import json
import sys
import tempfile
import wave

from pocketsphinx import Decoder


def fields(content_type, body):
    form = email.parser.BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in form.get_payload()}


def recognise(file, words):
    with wave.open(io.BytesIO(file)) as wav:
        samples, _ = audioop.ratecv(wav.readframes(wav.getnframes()), 2, 1, wav.getframerate(), 16_000, None)
    with tempfile.NamedTemporaryFile("w", suffix=".gram") as grammar:
        grammar.write("#JSGF V1.0; grammar hints; public <word> = " + " | ".join(words) + ";")
        grammar.flush()
        decoder = Decoder(samprate=16_000, jsgf=grammar.name, loglevel="FATAL")
    silence = bytes(16_000)
    decoder.start_utt()
    decoder.process_raw(silence + samples + silence, full_utt=True)
    decoder.end_utt()
    return decoder.hyp()


class Recogniser(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = fields(self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"])))
        heard = recognise(form["file"], form["prompt"].decode().split(","))
        answer = {"text": heard.hypstr, "confidence": heard.prob} if heard else {"text": ""}
        print(json.dumps({"model": form["model"].decode(), "language": form["language"].decode(), **answer}), flush=True)
        page = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Recogniser).serve_forever()
