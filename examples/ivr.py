"""An IVR in TwiML in ten lines: python3 examples/ivr.py 9290"""
import http.server, sys, urllib.parse
def page(form):
    return {"1": '<Play>prompt:welcome</Play><Hangup/>', "2": '<Play>prompt:goodbye</Play><Hangup/>'}.get(
        form.get("Digits"), '<Gather numDigits="1"><Play>prompt:menu</Play></Gather><Redirect/>')
class App(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        body = f"<Response>{page(form)}</Response>".encode()
        self.send_response(200); self.send_header("Content-Type", "text/xml"); self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
