//! What tells a standby from the others.

use wise_core::Labels;
use wise_core::label::distinguish;

use crate::rows::Row;

/// A standby, as its primary names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// Its application_name: `walreceiver` unless someone has set another.
    pub(crate) name: String,
    pub(crate) address: String,
    /// `None` on a Unix socket.
    pub(crate) port: Option<String>,
    /// Its lasting slot. A temporary one is another one at each connection.
    pub(crate) slot: Option<String>,
    /// The process that serves it.
    pub(crate) pid: String,
}

impl Peer {
    pub(crate) fn read(row: &Row) -> Self {
        Self {
            name: row.string("application_name"),
            address: row.text("address").unwrap_or("local").to_owned(),
            port: row.text("client_port").filter(|port| *port != "-1").map(str::to_owned),
            slot: row.text("slot").map(str::to_owned),
            pid: row.string("pid"),
        }
    }
}

/// The labels of each standby. Name, address and slot outlive a connection. Only those that these do not tell apart have
/// the port of their connection too, and on a Unix socket, which has none, the process: both are others after the
/// standby has connected again.
pub(crate) fn labels(peers: &[Peer]) -> Vec<Labels> {
    let lasting = |peer: &Peer| {
        let labels = Labels::one("standby", peer.name.as_str()).with("address", peer.address.as_str());
        with(&labels, "slot", peer.slot.as_deref())
    };
    let labels: Vec<Labels> = peers.iter().map(lasting).collect();
    let labels = distinguish(labels, peers, |labels, peer| with(labels, "port", peer.port.as_deref()));
    distinguish(labels, peers, |labels, peer| labels.with("pid", peer.pid.as_str()))
}

fn with(labels: &Labels, name: &str, value: Option<&str>) -> Labels {
    value.map_or_else(|| labels.clone(), |value| labels.with(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(slot: Option<&str>, port: Option<&str>, pid: &str) -> Peer {
        Peer {
            name: "walreceiver".to_owned(),
            address: "10.0.0.2".to_owned(),
            port: port.map(str::to_owned),
            slot: slot.map(str::to_owned),
            pid: pid.to_owned(),
        }
    }

    fn beside_name_and_address(peers: &[Peer]) -> Vec<String> {
        let shown = labels(peers).into_iter().map(|labels| {
            let pairs = labels.pairs().iter().filter(|(name, _)| name != "standby" && name != "address");
            pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        });
        shown.collect()
    }

    #[test]
    fn a_standby_alone_keeps_its_labels_over_a_new_connection() {
        let before = labels(&[peer(None, Some("5001"), "1")]);
        assert_eq!(before, labels(&[peer(None, Some("5002"), "2")]));
        assert_eq!(before[0], Labels::one("standby", "walreceiver").with("address", "10.0.0.2"));
    }

    #[test]
    fn slots_tell_standbys_apart_and_ports_only_those_without() {
        let two = [peer(Some("a"), Some("5001"), "1"), peer(Some("b"), Some("5002"), "2")];
        assert_eq!(beside_name_and_address(&two), ["slot=a", "slot=b"]);
        let one_of_two = [peer(Some("a"), Some("5001"), "1"), peer(None, Some("5002"), "2")];
        assert_eq!(beside_name_and_address(&one_of_two), ["slot=a", ""]);
        let three = [
            peer(Some("a"), Some("5001"), "1"),
            peer(None, Some("5002"), "2"),
            peer(None, Some("5003"), "3"),
        ];
        assert_eq!(beside_name_and_address(&three), ["slot=a", "port=5002", "port=5003"]);
    }

    #[test]
    fn without_ports_processes_tell_them_apart() {
        assert_eq!(
            beside_name_and_address(&[peer(None, None, "1"), peer(None, None, "2")]),
            ["pid=1", "pid=2"]
        );
        // Two addresses of the server, and one of the client.
        let same = [peer(None, Some("5001"), "1"), peer(None, Some("5001"), "2")];
        assert_eq!(beside_name_and_address(&same), ["pid=1 port=5001", "pid=2 port=5001"]);
    }
}
