"""The voice application of tests/ivr_phones.rs, as a team that came from Twilio would have it: TwiML by Python's own
server, and every request checked by the official `twilio` package before it is answered. A line of JSON a request on
standard output; one whose signature is not right gets 403."""
import http.server
import json
import sys
import urllib.parse

from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Dial, Gather, VoiceResponse

PORT, TOKEN = int(sys.argv[1]), sys.argv[2]
validator = RequestValidator(TOKEN)


def ask(prompt, action):
    response = VoiceResponse()
    gather = Gather(num_digits=1, timeout=20, action=action)
    gather.play("prompt:" + prompt)
    response.append(gather)
    return response


def start(form):
    return ask("menu", "/second")


def second(form):
    return ask("goodbye", "/third") if form["Digits"] == "1" else start(form)


def third(form):
    return ask("menu", "/picked") if form["Digits"] == "2" else start(form)


def picked(form):
    response = VoiceResponse()
    if form["Digits"] == "3":
        response.record(max_length=20, timeout=5, play_beep=False, finish_on_key="#", action="/recorded")
    return response


def recorded(form):
    response = VoiceResponse()
    dial = Dial(action="/dialed", timeout=20)
    dial.client("bob", status_callback="/leg", status_callback_event="initiated ringing answered completed")
    response.append(dial)
    return response


def dialed(form):
    response = VoiceResponse()
    dial = Dial()
    dial.conference("team", beep=False, wait_url="")
    response.append(dial)
    return response


def nothing(form):
    return VoiceResponse()


PAGES = {"/start": start, "/second": second, "/third": third, "/picked": picked, "/recorded": recorded,
         "/dialed": dialed, "/leg": nothing, "/status": nothing}


class App(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
        url = f"http://127.0.0.1:{PORT}{self.path}"
        valid = validator.validate(url, form, self.headers.get("X-Twilio-Signature", ""))
        print(json.dumps({"path": self.path, "valid": valid, "form": form}), flush=True)
        page = str(PAGES[self.path](form)).encode() if valid else b""
        self.send_response(200 if valid else 403)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), App).serve_forever()
