//! A web application (Python's own server): a document for each path, and every request as a line of JSON on its output.

use super::process::{Process, tcp_port_is_bound};
use super::{secs, until};
use serde_json::{Value, json};
use std::path::Path;

/// Its port, then its pages as JSON: path to what stands inside `<Response>`.
const SERVE: &str = r#"
import http.server, json, sys, urllib.parse
pages = json.loads(sys.argv[2])
class App(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
        print(json.dumps({"path": self.path, "form": form}), flush=True)
        page = ("<Response>" + pages[self.path] + "</Response>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
"#;

/// A running application.
#[derive(Debug)]
pub struct App(Process);

impl App {
    /// One that listens on `port` and answers each of these paths.
    pub fn start(dir: &Path, port: u16, pages: &[(&str, &str)]) -> Self {
        let pages: serde_json::Map<String, Value> =
            pages.iter().map(|(path, page)| ((*path).to_owned(), json!(page))).collect();
        let process = Process::start("app", dir, "python3", |command| {
            command.args(["-c", SERVE, &port.to_string(), &Value::Object(pages).to_string()]);
        });
        until("the application listens", secs(60), || tcp_port_is_bound(port).then_some(()));
        Self(process)
    }

    /// The requests so far: each its `path` and its `form`.
    pub fn requests(&self) -> Vec<Value> {
        json_lines(&self.0)
    }
}

/// What a process has printed as lines of JSON.
pub fn json_lines(of: &Process) -> Vec<Value> {
    of.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
