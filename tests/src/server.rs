//! The server under test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::http::{Answer, request};
use wise_testbed::{binary, hard_kill, terminate, until};

/// How a server is started.
pub struct Builder {
    command: Command,
    folder: PathBuf,
}

impl Builder {
    /// A server in a folder, on a free port.
    pub fn new(folder: &Path) -> Self {
        Self::with(Command::new(binary()), folder)
    }

    /// A server behind another program, such as `unshare`, whose last argument is the binary.
    pub fn with(mut command: Command, folder: &Path) -> Self {
        command
            .current_dir(folder)
            .env("WISE_SERVER__LISTEN", "127.0.0.1:0")
            .env("WISE_LOG__FORMAT", "json")
            .env("WISE_MONITORS__RELOAD_INTERVAL", "200ms");
        Self { command, folder: folder.to_owned() }
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it, and waits for nothing; its output and its log are in files of its folder.
    ///
    /// # Panics
    /// There is no binary.
    pub fn spawn(mut self) -> Child {
        let file = |name: &str| {
            let path = self.folder.join(name);
            std::fs::File::options().create(true).append(true).open(path).expect("a file")
        };
        let (out, log) = (file("server.out"), file("server.log"));
        self.command.stdout(out).stderr(log).spawn().expect("the binary starts: is it built?")
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// It ends instead; the message has its log.
    pub fn start(mut self) -> Server {
        let log = self.folder.join("server.log");
        let file =
            std::fs::File::options().create(true).append(true).open(&log).expect("the log can be written");
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .expect("the binary starts: is it built?");
        let output = child.stdout.take().expect("its output");
        let address = BufReader::new(output).lines().map_while(Result::ok).find_map(|line| {
            line.split_once("is running: http://").map(|(_, rest)| rest.trim_end_matches('/').to_owned())
        });
        let Some(address) = address else {
            panic!(
                "the server ended before it was ready:\n{}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
        };
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        Server { child, port, folder: self.folder }
    }
}

/// A running server.
pub struct Server {
    /// Its process.
    pub child: Child,
    /// Its port.
    pub port: u16,
    /// The folder it runs in; its store is in `data`.
    pub folder: PathBuf,
}

impl Server {
    /// Starts one with nothing set.
    pub fn start(folder: &Path) -> Self {
        Builder::new(folder).start()
    }

    /// Makes a request with a JSON body, or without one.
    ///
    /// # Panics
    /// The connection fails.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let text = body.map(ToString::to_string).unwrap_or_default();
        let headers: &[&str] = if body.is_some() { &["Content-Type: application/json"] } else { &[] };
        request(self.port, method, path, headers, text.as_bytes()).expect("the server answers")
    }

    /// Reads JSON.
    ///
    /// # Panics
    /// The answer is not 200.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, None);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Adds a website that is checked every second; answers its id.
    ///
    /// # Panics
    /// It is refused.
    pub fn add_website(&self, name: &str, url: &str) -> String {
        self.add(&json!({"name": name, "kind": "website", "interval": "1s", "settings": {"url": url}}))
    }

    /// Adds a monitor; answers its id.
    ///
    /// # Panics
    /// It is refused.
    pub fn add(&self, body: &Value) -> String {
        let answer = self.call("POST", "/api/v1/monitors", Some(body));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Waits for a status, and answers the monitor.
    pub fn wait_for_status(&self, id: &str, status: &str) -> Value {
        until(&format!("{id} is {status}"), || {
            let monitor = self.get(&format!("/api/v1/monitors/{id}"));
            if monitor["status"] == status { Ok(monitor) } else { Err(monitor) }
        })
    }

    /// The log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    /// One of the server's own metrics, by its whole name.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.call("GET", "/metrics", None).body;
        text.lines()
            .find_map(|line| line.rsplit_once(' ').filter(|(known, _)| *known == name)?.1.parse().ok())
    }

    /// As `kill -9`.
    pub fn kill(mut self) {
        hard_kill(&mut self.child);
    }

    /// As the service manager does; answers the exit code.
    pub fn stop(mut self) -> Option<i32> {
        terminate(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
