//! Redis, as primary and as replica, and its Sentinel.

use std::process::Command;

use crate::certificates::Certificates;
use crate::process::free_port;
use crate::service::{ClientSession, Service, try_run};
use crate::until;

/// A Redis server.
#[derive(Debug)]
pub struct Redis {
    /// The process.
    pub service: Service,
    /// Its port, the same for its whole life.
    pub port: u16,
    options: Vec<String>,
}

impl Redis {
    /// Starts one with these options beside the usual, such as `--maxclients 5`.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { service: Service::in_folder(None), port: free_port(), options };
        server.start_again();
        server
    }

    /// Starts a replica of another server.
    ///
    /// # Panics
    /// It does not start.
    pub fn replica_of(primary: &Self, options: &[&str]) -> Self {
        let of = format!("127.0.0.1 {}", primary.port);
        let (host, port) = of.split_once(' ').expect("two words");
        Self::start(&[&["--replicaof", host, port, "--repl-diskless-sync-delay", "0"], options].concat())
    }

    /// A server that speaks TLS only.
    ///
    /// # Panics
    /// It does not start.
    pub fn with_tls(certificates: &Certificates) -> Self {
        let mut server = Self { service: Service::in_folder(None), port: free_port(), options: Vec::new() };
        let path = |path: &std::path::Path| path.display().to_string();
        server.options = vec![
            "--tls-port".to_owned(),
            server.port.to_string(),
            "--tls-cert-file".to_owned(),
            path(&certificates.server),
            "--tls-key-file".to_owned(),
            path(&certificates.server_key),
            "--tls-ca-cert-file".to_owned(),
            path(&certificates.ca),
            "--tls-auth-clients".to_owned(),
            "optional".to_owned(),
        ];
        server.start_again();
        server
    }

    fn is_tls(&self) -> bool {
        self.options.first().is_some_and(|option| option == "--tls-port")
    }

    /// Starts the process without waiting for it to be ready.
    pub fn launch(&mut self) {
        let mut command = Command::new("redis-server");
        let port = if self.is_tls() { "0".to_owned() } else { self.port.to_string() };
        command.args([
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--enable-debug-command",
            "yes",
            "--dir",
        ]);
        command.arg(self.service.folder()).args(&self.options);
        self.service.spawn(command);
    }

    /// Starts it on its port, and waits until it answers.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again(&mut self) {
        self.launch();
        until("Redis answers", || {
            if let Some(log) = self.service.died() {
                panic!("Redis ended: {log}");
            }
            // Any answer will do: it may be loading, or ask for a password.
            try_run(self.client().arg("PING"))
        });
    }

    /// A client that is ended after five seconds: `redis-cli` itself waits for ever for a server that is frozen.
    fn client(&self) -> Command {
        let mut command = Command::new("timeout");
        command.arg("5");
        command.arg("redis-cli").args(self.way());
        command
    }

    fn way(&self) -> Vec<String> {
        let mut way = ["-h", "127.0.0.1", "-p"].map(str::to_owned).to_vec();
        way.push(self.port.to_string());
        if self.is_tls() {
            way.extend(["--tls", "--insecure"].map(str::to_owned));
        }
        way
    }

    /// Runs a command, words by spaces, and answers what came back, errors too.
    ///
    /// # Panics
    /// The server cannot be reached.
    pub fn run(&self, command: &str) -> String {
        let result = try_run(self.client().args(command.split_whitespace()));
        result.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// A session that stays open.
    pub fn session(&self) -> ClientSession {
        let mut command = Command::new("redis-cli");
        command.args(self.way());
        ClientSession::start(command)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.is_tls() { "rediss" } else { "redis" }, self.port)
    }
}

/// A Sentinel.
#[derive(Debug)]
pub struct Sentinel {
    /// The process.
    pub service: Service,
    /// Its port.
    pub port: u16,
}

impl Sentinel {
    /// Starts one that watches `primary` under the name `main`, with that quorum.
    ///
    /// # Panics
    /// It does not start.
    pub fn of(primary: &Redis, quorum: u32) -> Self {
        let mut sentinel = Self { service: Service::in_folder(None), port: free_port() };
        let file = sentinel.service.folder().join("sentinel.conf");
        let (port, watched) = (sentinel.port, primary.port);
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {watched} {quorum}\n\
             sentinel down-after-milliseconds main 1000\n"
        );
        std::fs::write(&file, text).expect("the configuration can be written");
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel");
        sentinel.service.spawn(command);
        until("Sentinel answers", || sentinel.try_run("PING"));
        sentinel
    }

    /// Runs a command, words by spaces.
    ///
    /// # Panics
    /// It cannot be reached.
    pub fn run(&self, command: &str) -> String {
        self.try_run(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    fn try_run(&self, command: &str) -> Result<String, String> {
        let mut client = Command::new("redis-cli");
        try_run(
            client.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(command.split_whitespace()),
        )
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
