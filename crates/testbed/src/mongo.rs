//! A server that speaks MongoDB's wire protocol: `mongod` where there is one, SecantusDB beside it.

use std::path::PathBuf;
use std::process::Command;

use crate::process::free_port;
use crate::service::Service;
use crate::{target, until};

/// A MongoDB server, or one that is compatible.
#[derive(Debug)]
pub struct Mongo {
    /// The process.
    pub service: Service,
    /// Its port, the same for its whole life.
    pub port: u16,
    program: PathBuf,
    options: Vec<String>,
}

impl Mongo {
    /// The programs there are: SecantusDB, which the tests bring along, and a `mongod` of the machine's own.
    pub fn programs() -> Vec<PathBuf> {
        let on_path = std::env::var_os("PATH")
            .iter()
            .flat_map(std::env::split_paths)
            .map(|folder| folder.join("mongod"))
            .find(|path| path.is_file());
        std::iter::once(target().join("venv/bin/secantusd-py")).chain(on_path).collect()
    }

    /// Starts a program with these options beside the usual.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(program: &std::path::Path, options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let program = program.to_owned();
        let mut server = Self { service: Service::in_folder(None), port: free_port(), program, options };
        server.start_again();
        server
    }

    /// Starts it on its port, and waits until it listens.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again(&mut self) {
        let mut command = Command::new(&self.program);
        let is_mongod = self.is_mongod();
        command.arg(if is_mongod { "--dbpath" } else { "--storage-path" }).arg(self.service.folder());
        command.args(["--port", &self.port.to_string()]);
        command.args(if is_mongod { ["--bind_ip", "127.0.0.1"] } else { ["--host", "127.0.0.1"] });
        command.args(&self.options);
        self.service.spawn(command);
        until("the MongoDB server listens", || {
            if let Some(log) = self.service.died() {
                panic!("{} ended: {log}", self.program.display());
            }
            std::net::TcpStream::connect(("127.0.0.1", self.port))
        });
    }

    /// Stops it, and starts it on the same data and port with other options.
    ///
    /// # Panics
    /// It does not start.
    pub fn with_options(mut self, options: &[&str]) -> Self {
        self.service.stop();
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
        self.start_again();
        self
    }

    /// Whether it is MongoDB's own server.
    pub fn is_mongod(&self) -> bool {
        self.program.ends_with("mongod")
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}", self.port)
    }
}
