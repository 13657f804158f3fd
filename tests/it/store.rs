//! The store in trouble: a full disk, a damaged file, a second server. On either backend: with a store in MongoDB it is the
//! spool's disk and the spool's files.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wise_e2e::{Builder, Mongo, Nginx, Server, binary, free_port, request, until};

/// A store of its own for a test.
struct Bed {
    folder: tempfile::TempDir,
    mongo: Option<Mongo>,
}

impl Bed {
    /// One for each backend.
    fn all() -> Vec<Self> {
        let new = |mongo| Self { folder: tempfile::tempdir().unwrap(), mongo };
        let servers = Mongo::programs().into_iter().map(|program| Some(Mongo::start(&program, &[])));
        std::iter::once(None).chain(servers).map(new).collect()
    }

    /// The folder of the files, below that of the server.
    fn data(&self) -> &'static str {
        if self.mongo.is_some() { "data/spool" } else { "data" }
    }

    fn main_file(&self) -> PathBuf {
        self.folder.path().join(self.data()).join("wise.sqlite3")
    }

    fn url(&self) -> String {
        self.mongo
            .as_ref()
            .map_or_else(|| "sqlite://./data".to_owned(), |mongo| format!("{}/wise", mongo.url()))
    }

    fn server(&self) -> Server {
        self.behind(Command::new(binary()))
    }

    fn behind(&self, command: Command) -> Server {
        self.builder(command, free_port()).start()
    }

    /// On a port of its own, which it has again when it begins again.
    fn builder(&self, command: Command, port: u16) -> Builder {
        let listen = format!("127.0.0.1:{port}");
        let builder = Builder::with(command, self.folder.path()).env("WISE_SERVER__LISTEN", &listen);
        builder.env("WISE_STORAGE__URL", &self.url())
    }

    /// Starts a server that is expected to end by itself, and answers what it said.
    fn refused(&self, mut command: Command) -> String {
        let mut child = command
            .current_dir(self.folder.path())
            .env("WISE_SERVER__LISTEN", "127.0.0.1:0")
            .env("WISE_STORAGE__URL", self.url())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!child.wait().unwrap().success(), "{said}");
        said
    }
}

#[test]
fn a_full_disk_loses_no_definition_and_changes_no_status() {
    for bed in Bed::all() {
        let nginx = Nginx::start();
        let (folder, data) = (bed.folder.path(), bed.data());
        std::fs::create_dir_all(folder.join(data)).unwrap();
        // A small disk of its own, in a mount namespace that goes with the server.
        let mut command = Command::new("unshare");
        let script = format!("mount -t tmpfs -o size=2m none {data} && exec {}", binary().display());
        command.args(["--mount", "sh", "-c", &script]);
        let server = bed.behind(command);
        let id = server.add_website("shop", &nginx.url());
        server.wait_for_status(&id, "healthy");
        let ballast = format!("/proc/{}/root{}/{data}/ballast", server.child.id(), folder.display());
        fill(Path::new(&ballast));
        // Whatever is left in pages is used up by the results themselves.
        until("the trouble is named", || {
            let health = server.call("GET", "/health", None);
            if health.status == 503 && health.body.contains("store cannot be written") {
                Ok(())
            } else {
                Err(health.body)
            }
        });
        let late = serde_json::json!({"name": "late", "kind": "website", "settings": {"url": nginx.url()}});
        let refused = server.call("POST", "/api/v1/monitors", Some(&late));
        // The definition may find room in the log of the main file; what it must not do is to be lost after a 201.
        assert!(matches!(refused.status, 201 | 503), "{}", refused.body);
        assert!(server.log().contains("the disk is full"), "{}", server.log());
        std::fs::remove_file(&ballast).unwrap();
        assert!(!server.log().contains("was taken over"), "it goes on: {}", server.log());
        assert_eq!(server.get(&format!("/api/v1/monitors/{id}"))["status"], "healthy");
        until("it recovers by itself", || match request(server.port, "GET", "/health", &[], b"") {
            Ok(health) if health.status == 200 => Ok(()),
            Ok(health) => Err(health.body),
            Err(error) => Err(format!("{error}: {}", server.log())),
        });
        server.wait_for_status(&id, "healthy");
        let changes = server.get(&format!("/api/v1/monitors/{id}/events?limit=100"));
        assert!(
            !changes.to_string().contains("\"to\":\"unhealthy\""),
            "our own trouble is not the target's: {changes}"
        );
        let names = server.get("/api/v1/monitors").to_string();
        assert!(names.contains("shop") && (refused.status != 201 || names.contains("late")), "{names}");
    }
}

#[test]
fn a_start_on_a_full_disk_waits_for_space() {
    for has_store in [false, true] {
        Bed::all().iter().for_each(|bed| start_on_a_full_disk(bed, has_store));
    }
}

fn start_on_a_full_disk(bed: &Bed, has_store: bool) {
    let (folder, data) = (bed.folder.path(), bed.data());
    std::fs::create_dir_all(folder.join(data)).unwrap();
    std::fs::create_dir(folder.join("kept")).unwrap();
    if has_store {
        assert_eq!(bed.server().stop(), Some(0));
        let copied =
            Command::new("cp").args(["-r", &format!("{data}/."), "kept"]).current_dir(folder).status();
        assert!(copied.unwrap().success());
    }
    // A disk of its own, which something else has filled.
    let script = format!(
        "mount -t tmpfs -o size=4m none {data} && cp -r kept/. {data} && \
         (cat /dev/zero > {data}/ballast || cat /dev/zero > {data}/rest || true) && exec {}",
        binary().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    let port = free_port();
    let server = Server { child: bed.builder(command, port).spawn(), port, folder: folder.to_owned() };
    let watches = until("it says what it waits for", || {
        let log = server.log();
        // A store that is there may be opened all the same: then it watches, and keeps results in memory.
        let watches = has_store && log.contains("results are kept in memory");
        if watches || log.contains("nothing is watched until then") { Ok(watches) } else { Err(log) }
    });
    assert!(server.log().contains("the disk is full"), "{}", server.log());
    let answer = request(port, "GET", "/health", &[], b"");
    assert_eq!(answer.is_ok(), watches, "it answers when it watches: {answer:?}");
    let ballast = format!("/proc/{}/root{}/{data}/ballast", server.child.id(), folder.display());
    std::fs::remove_file(ballast).unwrap();
    until("it starts", || match request(port, "GET", "/health/ready", &[], b"") {
        Ok(health) if health.status == 200 => Ok(()),
        other => Err(format!("{other:?}: {}", server.log())),
    });
    assert_eq!(server.get("/api/v1/monitors")["items"][0]["name"], "wise-monitoring");
    assert_eq!(server.stop(), Some(0));
}

/// Fills the disk that a file is on.
fn fill(ballast: &Path) {
    let mut filled = vec![0u8; 2 << 20];
    while std::fs::write(ballast, &filled).is_err() {
        let less = filled.len().saturating_sub(4096);
        assert!(less > 0, "there was no room at all");
        filled.truncate(less);
    }
}

#[test]
fn a_damaged_or_used_store_gives_a_clear_error() {
    for bed in Bed::all() {
        let server = bed.server();
        let second = bed.refused(Command::new(binary()));
        assert!(second.contains("in use by another process"), "{second}");
        assert_eq!(server.stop(), Some(0));
        let main = bed.main_file();
        for log in ["-wal", "-shm"] {
            std::fs::remove_file(format!("{}{log}", main.display())).ok();
        }
        std::fs::write(&main, "this is no database, and has never been one").unwrap();
        let damaged = bed.refused(Command::new(binary()));
        assert!(damaged.contains("wise.sqlite3 is damaged") && damaged.contains("backup"), "{damaged}");
    }
}

#[test]
fn a_read_only_folder_gives_a_clear_error() {
    for bed in Bed::all() {
        assert_eq!(bed.server().stop(), Some(0));
        // As root, only a read-only mount refuses to be written.
        let data = bed.data();
        let script = format!(
            "mount --bind {data} {data} && mount -o remount,bind,ro {data} && exec {}",
            binary().display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        let said = bed.refused(command);
        assert!(said.contains("cannot be written") && said.contains("mount options"), "{said}");
    }
}

#[test]
fn a_lost_key_keeps_definitions_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let id = server.add(&serde_json::json!({"name": "shop", "kind": "website", "settings": {
        "url": "http://127.0.0.1:9/", "auth": {"type": "bearer", "token": "tok-123456"}
    }}));
    assert_eq!(server.stop(), Some(0));
    std::fs::remove_file(folder.path().join("data/secret.key")).unwrap();
    let server = Server::start(folder.path());
    let monitor = server.wait_for_status(&id, "unknown");
    assert!(monitor["problem"].as_str().unwrap().contains("put the old key file back"), "{monitor}");
    assert_eq!(monitor["name"], "shop");
}
