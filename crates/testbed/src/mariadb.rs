//! MariaDB, as primary and as replica.

use std::process::Command;

use crate::certificates::Certificates;
use crate::process::free_port;
use crate::service::{ClientSession, Service, chown, command_as, from_template, run, try_run};
use crate::until;

const OWNER: &str = "mysql";

/// A MariaDB server. `root` has no password.
#[derive(Debug)]
pub struct MariaDb {
    /// The process.
    pub service: Service,
    /// Its port, the same for its whole life.
    pub port: u16,
    options: Vec<String>,
}

impl MariaDb {
    /// Starts one with these options beside the usual, such as `--max-connections=10`.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(options: &[&str]) -> Self {
        let service = Service::in_folder(Some(OWNER));
        from_template("mariadb", OWNER, &service.folder().join("data"), |path| {
            run(command_as(OWNER, "mariadb-install-db")
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .arg(format!("--datadir={}", path.display())));
        });
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { service, port: free_port(), options };
        server.start_again();
        server
    }

    /// Starts a replica of another server, by GTID.
    ///
    /// # Panics
    /// It does not start.
    pub fn replica_of(primary: &Self, options: &[&str]) -> Self {
        let replica = Self::start(&[&["--server-id=2", "--log-bin", "--read-only"], options].concat());
        replica.sql(&format!(
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='repl', MASTER_PASSWORD='repl-pw', \
             MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1; START SLAVE",
            primary.port
        ));
        replica
    }

    /// Options that make a primary.
    pub const PRIMARY: &[&str] = &["--server-id=1", "--log-bin"];

    /// Adds the user that replicas log in with.
    pub fn add_replication_user(&self) {
        self.sql("CREATE USER repl@'127.0.0.1' IDENTIFIED BY 'repl-pw'; GRANT REPLICATION SLAVE ON *.* TO repl@'127.0.0.1'");
    }

    /// Turns TLS on for the next start.
    ///
    /// # Panics
    /// The files cannot be copied.
    pub fn use_tls(&mut self, certificates: &Certificates) {
        let files = [
            (&certificates.server, "server.crt", "ssl-cert"),
            (&certificates.server_key, "server.key", "ssl-key"),
            (&certificates.ca, "ca.crt", "ssl-ca"),
        ];
        for (from, to, option) in files {
            let path = self.service.folder().join(to);
            std::fs::copy(from, &path).expect("the certificate can be copied");
            chown(&path, OWNER);
            self.options.push(format!("--{option}={}", path.display()));
        }
    }

    /// Sets an option for the next start.
    pub fn set(&mut self, option: &str) {
        self.options.push(option.to_owned());
    }

    /// The path of its Unix socket.
    pub fn socket(&self) -> String {
        self.service.folder().join("socket").display().to_string()
    }

    /// Starts the process without waiting for it to be ready.
    pub fn launch(&mut self) {
        let folder = self.service.folder().display().to_string();
        let mut command = command_as(OWNER, "mariadbd");
        command.args([
            "--no-defaults",
            &format!("--datadir={folder}/data"),
            &format!("--socket={folder}/socket"),
            &format!("--pid-file={folder}/pid"),
            // A server that starts clears temporary tables away, those of its neighbours too.
            &format!("--tmpdir={folder}"),
            &format!("--port={}", self.port),
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-name-resolve",
        ]);
        command.args(&self.options);
        self.service.spawn(command);
    }

    /// Starts it on its port, and waits until it answers.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again(&mut self) {
        self.launch();
        until("MariaDB answers", || {
            if let Some(log) = self.service.died() {
                panic!("MariaDB ended: {log}");
            }
            self.try_sql("SELECT 1")
        });
    }

    /// Runs SQL as root, and answers the rows, columns by tab.
    ///
    /// # Panics
    /// The server refuses it.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs SQL as root.
    ///
    /// # Errors
    /// What the server says.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        try_run(self.client().args(["-e", sql]))
    }

    fn client(&self) -> Command {
        let mut command = Command::new("mariadb");
        command.args([
            "--no-defaults",
            "-N",
            "-B",
            "-n",
            "-u",
            "root",
            "--database=mysql",
            &format!("--socket={}", self.socket()),
        ]);
        command
    }

    /// A session that stays open.
    pub fn session(&self) -> ClientSession {
        ClientSession::start(self.client())
    }

    /// Adds the monitor's user `mon` with the password `s3cret-pw` and the rights that it needs.
    pub fn add_monitor_user(&self) {
        self.sql(
            "CREATE USER mon@'127.0.0.1' IDENTIFIED BY 's3cret-pw'; \
             GRANT PROCESS, BINLOG MONITOR, SLAVE MONITOR, SELECT ON *.* TO mon@'127.0.0.1'",
        );
    }

    /// The URL for the monitor's user.
    pub fn url(&self) -> String {
        format!("mysql://mon:s3cret-pw@127.0.0.1:{}", self.port)
    }

    /// How many sessions the monitor has open.
    pub fn monitor_sessions(&self) -> usize {
        let count = self.sql("SELECT count(*) FROM information_schema.processlist WHERE user = 'mon'");
        count.parse().expect("a number")
    }
}
