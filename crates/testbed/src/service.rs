//! A server process with its folder, and a client session that stays open.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::process::{signal, terminate};

/// A server process in a folder of its own.
#[derive(Debug)]
pub struct Service {
    folder: tempfile::TempDir,
    child: Option<Child>,
    is_frozen: bool,
}

impl Service {
    /// A folder, which `owner` may use when this runs as root: servers refuse to run as root.
    pub(crate) fn in_folder(owner: Option<&str>) -> Self {
        let folder = tempfile::Builder::new().prefix("wise-").tempdir().expect("a folder");
        if let Some(owner) = owner.filter(|_| is_root()) {
            // Root has to look into it as well, and so does the client that runs as the tests do.
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(folder.path(), mode).expect("the folder's mode can be set");
            chown(folder.path(), owner);
        }
        Self { folder, child: None, is_frozen: false }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the process; its output goes into `log` in the folder.
    pub(crate) fn spawn(&mut self, mut command: Command) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the log can be written");
        let errors = log.try_clone().expect("the log can be shared");
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{program:?} does not start: {error}")));
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What it has written.
    pub fn log(&self) -> String {
        std::fs::read(self.log_path())
            .map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether the process has ended by itself; then the end of its log.
    pub(crate) fn died(&mut self) -> Option<String> {
        let ended = matches!(self.child.as_mut()?.try_wait(), Ok(Some(_)));
        ended.then(|| {
            let log = self.log();
            let lines: Vec<&str> = log.lines().rev().take(10).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        })
    }

    /// Its process id.
    ///
    /// # Panics
    /// It does not run.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// Stops the process where it stands, as a dead disk or a stuck machine would.
    pub fn freeze(&mut self) {
        signal(self.id(), "STOP");
        self.is_frozen = true;
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        signal(self.id(), "CONT");
        self.is_frozen = false;
    }

    /// Asks it to end, and waits.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            terminate(&mut child);
        }
    }

    /// Ends it in mid-flight.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that runs as `user` when this runs as root.
pub(crate) fn command_as(user: &str, program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups", program]);
    command
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

pub(crate) fn chown(path: &Path, owner: &str) {
    if is_root() {
        run(Command::new("chown").arg("-R").arg(format!("{owner}:{owner}")).arg(path));
    }
}

/// Runs a command to its end, and answers what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    try_run(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

pub(crate) fn try_run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A data folder that takes long to make: made once on this machine, copied for each server.
pub(crate) fn from_template(name: &str, owner: &str, to: &Path, make: impl FnOnce(&Path)) {
    let home = std::env::temp_dir().join("wise-testbed");
    let ready = home.join(name);
    if !ready.exists() {
        std::fs::create_dir_all(&home).expect("a folder for templates");
        let draft = tempfile::Builder::new().prefix(name).tempdir_in(&home).expect("a folder");
        chown(draft.path(), owner);
        make(&draft.path().join("data"));
        // Another test process may have been faster; then its work is as good.
        std::fs::rename(draft.path().join("data"), &ready).ok();
    }
    run(Command::new("cp").arg("-a").arg(&ready).arg(to));
}

/// A client program that stays connected: for locks, long transactions and the like.
#[derive(Debug)]
pub struct ClientSession {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl ClientSession {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, input, output }
    }

    /// Sends a statement and does not wait for it.
    ///
    /// # Panics
    /// The client is gone.
    pub fn send(&mut self, statement: &str) {
        let input = self.input.as_mut().expect("the session is open");
        writeln!(input, "{statement}").and_then(|()| input.flush()).expect("the client takes statements");
    }

    /// Waits for the next line of output.
    ///
    /// # Panics
    /// The client is gone.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the client answers");
        line.trim().to_owned()
    }
}

impl Drop for ClientSession {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
