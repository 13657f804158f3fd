//! PostgreSQL, as primary and as standby.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::certificates::Certificates;
use crate::process::free_port;
use crate::service::{ClientSession, Service, chown, command_as, from_template, run, try_run};
use crate::until;

const OWNER: &str = "postgres";

/// A PostgreSQL server. The superuser `postgres` may log in without a password through the Unix socket only; over TCP
/// everybody needs one.
#[derive(Debug)]
pub struct Postgres {
    /// The process.
    pub service: Service,
    /// Its port, the same for its whole life.
    pub port: u16,
    settings: Vec<(String, String)>,
}

impl Postgres {
    /// Starts one with these settings beside the usual.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let service = Service::in_folder(Some(OWNER));
        // A data folder belongs to one version.
        let template = program("initdb").trim_start_matches('/').replace('/', "-");
        from_template(&template, OWNER, &service.folder().join("data"), |path| {
            run(command_as(OWNER, &program("initdb"))
                .args(["--no-sync", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "-D"])
                .arg(path));
        });
        let mut server = Self { service, port: free_port(), settings: owned(settings) };
        server.write(
            "pg_hba.conf",
            "local all all trust\nlocal replication all trust\nhost all rejected 127.0.0.1/32 reject\nhostssl all only_tls 127.0.0.1/32 scram-sha-256\n\
             hostnossl all only_tls 127.0.0.1/32 reject\nhost replication all 127.0.0.1/32 trust\n\
             host all all 127.0.0.1/32 scram-sha-256\n",
        );
        server.start_again();
        server
    }

    /// Starts a standby of another server that follows through the slot `standby`.
    ///
    /// # Panics
    /// It does not start.
    pub fn standby_of(primary: &Self, settings: &[(&str, &str)]) -> Self {
        Self::standby_through(primary, Some("standby"), settings)
    }

    /// Starts a standby of another server that follows through a slot of its own, or through none.
    ///
    /// # Panics
    /// It does not start.
    pub fn standby_through(primary: &Self, slot: Option<&str>, settings: &[(&str, &str)]) -> Self {
        let service = Service::in_folder(Some(OWNER));
        let slot = slot.map_or(Vec::new(), |slot| vec!["-C", "-S", slot]);
        run(command_as(OWNER, &program("pg_basebackup"))
            .args(["-h", "127.0.0.1", "-p", &primary.port.to_string(), "-U", "postgres"])
            .args(["--checkpoint=fast", "-R"])
            .args(slot)
            .arg("-D")
            .arg(service.folder().join("data")));
        let mut server = Self { service, port: free_port(), settings: owned(settings) };
        server.start_again();
        server
    }

    /// Writes a file into the data folder.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, text).expect("the file can be written");
        chown(&path, OWNER);
    }

    /// Turns TLS on, with the server's certificate of `certificates`. Takes effect at the next start.
    ///
    /// # Panics
    /// The files cannot be copied.
    pub fn use_tls(&mut self, certificates: &Certificates) {
        for (from, to) in [(&certificates.server, "server.crt"), (&certificates.server_key, "server.key")] {
            let path = self.data().join(to);
            std::fs::copy(from, &path).expect("the certificate can be copied");
            run(Command::new("chmod").arg("600").arg(&path));
            chown(&path, OWNER);
        }
        self.settings.push(("ssl".to_owned(), "on".to_owned()));
    }

    /// Sets a setting for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    fn data(&self) -> PathBuf {
        self.service.folder().join("data")
    }

    /// The folder of its Unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.service.folder()
    }

    /// Starts the process without waiting for it to be ready.
    pub fn launch(&mut self) {
        let mut command = command_as(OWNER, &program("postgres"));
        command.arg("-D").arg(self.data());
        let port = self.port.to_string();
        let folder = self.service.folder().display().to_string();
        let usual = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("unix_socket_directories", &folder),
            ("fsync", "off"),
            ("shared_buffers", "16MB"),
            ("max_connections", "20"),
            ("wal_level", "replica"),
            ("max_wal_senders", "5"),
        ];
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in usual.into_iter().chain(own) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        self.service.spawn(command);
    }

    /// Starts it on its port, and waits until it answers.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again(&mut self) {
        self.launch();
        until("PostgreSQL answers", || {
            if let Some(log) = self.service.died() {
                panic!("PostgreSQL ended: {log}");
            }
            self.try_sql("postgres", "SELECT 1")
        });
    }

    /// Stops it the fast way: sessions are cut off.
    pub fn stop(&mut self) {
        self.service.signal("INT");
        self.service.stop();
    }

    /// Runs SQL as the superuser, and answers the rows, columns by `|`.
    ///
    /// # Panics
    /// The server refuses it.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs SQL as the superuser.
    ///
    /// # Errors
    /// What the server says.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        try_run(self.psql(database).args(["-v", "ON_ERROR_STOP=1", "-c", sql]))
    }

    fn psql(&self, database: &str) -> Command {
        let mut command = Command::new("psql");
        command
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-U",
                "postgres",
                "-p",
                &self.port.to_string(),
                "-d",
                database,
                "-h",
            ])
            .arg(self.service.folder());
        command
    }

    /// A session that stays open.
    pub fn session(&self, database: &str) -> ClientSession {
        ClientSession::start(self.psql(database))
    }

    /// Adds the monitor's user `mon` with the password `s3cret-pw` and the role that it needs.
    pub fn add_monitor_user(&self) {
        self.sql("postgres", "CREATE ROLE mon LOGIN PASSWORD 's3cret-pw'; GRANT pg_monitor TO mon");
    }

    /// The URL for the monitor's user.
    pub fn url(&self) -> String {
        format!("postgresql://mon:s3cret-pw@127.0.0.1:{}/postgres", self.port)
    }

    /// How many sessions the monitor has open.
    pub fn monitor_sessions(&self) -> usize {
        let count = self.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'mon'");
        count.parse().expect("a number")
    }
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Debian keeps the server's programs out of the path, by version.
fn program(name: &str) -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|entry| entry.path().join("bin").join(name)).filter(|path| path.exists()).max();
    newest.map_or_else(|| name.to_owned(), |path| path.display().to_string())
}
