//! nginx, as the website that is watched.

use std::process::{Child, Command, Stdio};

use crate::process::{free_port, terminate};
use crate::until;

/// An nginx of its own.
pub struct Nginx {
    folder: tempfile::TempDir,
    /// Its port, the same for its whole life.
    pub port: u16,
    child: Option<Child>,
}

impl Nginx {
    /// Starts one.
    ///
    /// # Panics
    /// It does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut nginx = Self { folder, port: free_port(), child: None };
        nginx.switch_on();
        nginx
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Starts it again on its port.
    ///
    /// # Panics
    /// It does not start.
    pub fn switch_on(&mut self) {
        let path = self.folder.path().display().to_string();
        let port = self.port;
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;\n\
             uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"hello\\n\"; }}\n\
             location /teapot {{ return 418 \"short and stout\\n\"; }} }} }}\n"
        );
        let file = self.folder.path().join("nginx.conf");
        std::fs::write(&file, config).expect("the configuration can be written");
        let child =
            Command::new("nginx").arg("-c").arg(&file).arg("-p").arg(&path).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("nginx starts: is it installed?"));
        until("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)));
    }

    /// Ends it.
    pub fn switch_off(&mut self) {
        if let Some(mut child) = self.child.take() {
            terminate(&mut child);
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
