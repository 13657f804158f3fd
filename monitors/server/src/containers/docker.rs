//! What Docker says of its containers, asked over its socket with GET alone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use wise_core::{Failure, common, label};
use wise_net::{Net, Stage, Trace};

use crate::http::get;

/// Longest answer that is read.
const MAX_ANSWER: usize = 8 << 20;
/// Longest name or image that is kept; of a longer one a digest is kept too.
const MAX_NAME: usize = 200;
/// Containers of a list that are looked at.
const MAX_LISTED: usize = 2000;
/// How long what was said of one container holds while its state stays: asking for each costs Docker more than the list.
const INSPECT_EVERY: Duration = Duration::from_secs(60);
/// Docker walks the folders of all containers and volumes for their sizes.
const SIZES_EVERY: Duration = Duration::from_secs(3600);

/// A container as Docker knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DockerContainer {
    pub id: String,
    pub name: String,
    pub image: String,
    pub state: String,
    pub inspected: Option<Inspected>,
}

/// What only asking for the one container tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inspected {
    pub restarts: f64,
    pub exit_code: f64,
    pub oom_killed: bool,
    /// `healthy`, `starting` or `unhealthy`; `None` without a HEALTHCHECK.
    pub health: Option<String>,
    pub started_at: Option<String>,
}

/// Bytes on disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sizes {
    /// By id of the container.
    pub layers: Vec<(String, f64)>,
    /// By name of the volume.
    pub volumes: Vec<(String, f64)>,
}

/// A round of asking.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub containers: Vec<DockerContainer>,
    /// Names of all that were listed, by id; empty when there is no list.
    pub names: HashMap<String, String>,
    /// Those left out for there being too many.
    pub left_out: usize,
    /// Sizes, when they were due.
    pub sizes: Option<Result<Sizes, Failure>>,
}

/// A Docker engine behind a socket.
#[derive(Debug)]
pub(crate) struct Docker {
    net: Arc<Net>,
    socket: String,
    top: usize,
    inspected: HashMap<String, (Instant, String, Inspected)>,
    sized: Option<Instant>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
    image: String,
    state: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Inspection {
    restart_count: i64,
    state: State,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    exit_code: i64,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    started_at: String,
    health: Option<Health>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Health {
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Disk {
    containers: Option<Vec<SizedContainer>>,
    volumes: Option<Vec<SizedVolume>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SizedContainer {
    id: String,
    size_rw: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SizedVolume {
    name: String,
    usage_data: Option<VolumeUsage>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct VolumeUsage {
    size: f64,
}

impl Docker {
    pub(crate) fn new(net: Arc<Net>, socket: &str, top: usize) -> Self {
        Self { net, socket: socket.to_owned(), top, inspected: HashMap::new(), sized: None }
    }

    /// Asks for all containers. The caller sets the deadline, and what was learned by then is in `seen`.
    ///
    /// # Errors
    /// The engine cannot be asked for its list.
    pub(crate) async fn look(&mut self, trace: &mut Trace, seen: &mut Seen) -> Result<(), Failure> {
        let listed: Vec<Listed> = self.ask("/containers/json?all=1", trace).await?;
        let mut ids = HashSet::new();
        let mut containers: Vec<DockerContainer> = listed
            .into_iter()
            .filter(|listed| ids.insert(listed.id.clone()))
            .take(MAX_LISTED)
            .map(|listed| DockerContainer {
                name: name(&listed),
                id: listed.id,
                image: listed.image.chars().take(MAX_NAME).collect(),
                state: listed.state,
                inspected: None,
            })
            .collect();
        let name = |container: &DockerContainer| (container.id.clone(), container.name.clone());
        seen.names = containers.iter().map(name).collect();
        // Those that run first: of the others there may be any number.
        containers.sort_by_key(|container| container.state != "running");
        seen.left_out = containers.len().saturating_sub(self.top);
        containers.truncate(self.top);
        self.inspected.retain(|id, _| containers.iter().any(|container| container.id == *id));
        seen.containers = containers;
        for container in &mut seen.containers {
            container.inspected = self.inspect(&container.id, &container.state, trace).await?;
        }
        if self.sized.is_none_or(|at| at.elapsed() >= SIZES_EVERY) {
            // Set before asking: an engine that takes too long is left alone for an hour too.
            self.sized = Some(Instant::now());
            seen.sizes = Some(Err(Failure::new(&common::TIMEOUT, "Docker did not count sizes in time")));
            seen.sizes = Some(self.sizes(trace).await);
        }
        Ok(())
    }

    async fn inspect(
        &mut self,
        id: &str,
        state: &str,
        trace: &mut Trace,
    ) -> Result<Option<Inspected>, Failure> {
        if let Some((at, known, inspected)) = self.inspected.get(id)
            && known == state
            && at.elapsed() < INSPECT_EVERY
        {
            return Ok(Some(inspected.clone()));
        }
        // It goes into a path.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let found: Inspection = match self.ask(&format!("/containers/{id}/json"), trace).await {
            Ok(found) => found,
            // Gone since it was listed.
            Err(failure) if failure.code.as_deref() == Some("404") => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let inspected = Inspected {
            restarts: found.restart_count as f64,
            exit_code: found.state.exit_code as f64,
            oom_killed: found.state.oom_killed,
            health: found
                .state
                .health
                .map(|health| health.status)
                .filter(|status| !matches!(&**status, "" | "none")),
            // The year 1 stands for never.
            started_at: Some(found.state.started_at)
                .filter(|time| !time.is_empty() && !time.starts_with("0001-")),
        };
        self.inspected.insert(id.to_owned(), (Instant::now(), state.to_owned(), inspected.clone()));
        Ok(Some(inspected))
    }

    async fn sizes(&self, trace: &mut Trace) -> Result<Sizes, Failure> {
        // Engines before 23 do not know the types and count everything.
        let found: Disk = self.ask("/system/df?type=container&type=volume", trace).await?;
        let layers = found.containers.unwrap_or_default().into_iter();
        let volumes = found.volumes.unwrap_or_default().into_iter();
        let (mut ids, mut names) = (HashSet::new(), HashSet::new());
        Ok(Sizes {
            layers: layers
                .filter_map(|sized| Some((sized.id, sized.size_rw?)))
                .filter(|(id, _)| ids.insert(id.clone()))
                .collect(),
            // -1 is Docker's word for not known.
            volumes: volumes
                .filter_map(|volume| Some((short(&volume.name), volume.usage_data?.size)))
                .filter(|(name, size)| *size >= 0.0 && names.insert(name.clone()))
                .take(self.top)
                .collect(),
        })
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, trace: &mut Trace) -> Result<T, Failure> {
        let stream = self.net.connect_unix(&self.socket, trace).await?;
        trace.begin(Stage::Protocol("docker"));
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = path.parse::<Uri>().map_err(|_| {
            Failure::new(&common::INTERNAL, "the path cannot be put into a request").code("bad_url")
        })?;
        request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
        let (status, body) = get(stream, request, MAX_ANSWER).await?;
        if status != StatusCode::OK {
            let class = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => &common::PERMISSION,
                _ => &common::PROTOCOL,
            };
            let path = path.split('?').next().unwrap_or_default();
            let text = format!("Docker answers GET {path} with the status code {}", status.as_u16());
            return Err(Failure::new(class, text).code(status.as_u16().to_string()));
        }
        serde_json::from_slice(&body).map_err(|_| {
            Failure::new(&common::PROTOCOL, "what answers on the socket is not Docker").code("not_docker")
        })
    }
}

fn name(listed: &Listed) -> String {
    // Links give a container further names, with a slash within.
    let names = listed.names.as_deref().unwrap_or_default();
    let plain = names
        .iter()
        .map(|name| name.trim_start_matches('/'))
        .find(|name| !name.is_empty() && !name.contains('/'));
    plain.map_or_else(|| listed.id.chars().take(12).collect(), short)
}

fn short(name: &str) -> String {
    label::fit(name, MAX_NAME).into_owned()
}
