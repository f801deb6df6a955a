//! A Galera cluster of MariaDB's servers.

use std::{
    ops::Index,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{DatabaseServer, Databases};
use crate::process::{free_port, wait_until};

/// Where Debian's package has the library that replicates.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";
/// How many nodes there are: one may be lost.
const NODES: usize = 3;
/// The state that all nodes begin with, so that none has to send its files to the others.
const BEGINNING: &str = "6d1f6d40-0000-11f1-8000-000000000001:0";

/// Three nodes, each with the databases of all. They end with the test process.
pub struct Cluster {
    nodes: Vec<DatabaseServer>,
}

impl Index<usize> for Cluster {
    type Output = DatabaseServer;

    fn index(&self, node: usize) -> &DatabaseServer {
        &self.nodes[node]
    }
}

impl Cluster {
    /// The cluster that all tests of this process share, one at a time. All nodes take part.
    pub fn shared() -> MutexGuard<'static, Self> {
        static SHARED: OnceLock<Mutex<Cluster>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Mutex::new(Self::start()));
        let cluster = shared.lock().unwrap_or_else(PoisonError::into_inner);
        for node in 0..NODES {
            cluster.wait_for(node);
        }
        cluster
    }

    fn start() -> Self {
        assert!(
            std::path::Path::new(PROVIDER).exists(),
            "Galera is not installed: run \"make test\", or apt-get install galera-4 rsync lsof"
        );
        // For the cluster's own connections, for changes that a node has missed, and for a copy of everything.
        let ports: Vec<[u16; 3]> = (0..NODES)
            .map(|_| [free_port(), free_port(), free_port()])
            .collect();
        let members: Vec<String> = ports.iter().map(|[own, ..]| format!("127.0.0.1:{own}")).collect();
        let address = format!("--wsrep-cluster-address=gcomm://{}", members.join(","));
        let mut nodes: Vec<DatabaseServer> = Vec::new();
        for ports in ports {
            let node = DatabaseServer::node(nodes.first(), |port| options(ports, port));
            nodes.push(node);
        }
        let mut cluster = Self { nodes };
        // The first makes the cluster, and would make another one if it were started so again.
        let first = &mut cluster.nodes[0];
        first
            .options()
            .push("--wsrep-cluster-address=gcomm://".to_owned());
        first.launch_at(BEGINNING);
        cluster.wait_for(0);
        let first = &mut cluster.nodes[0];
        first.make_account();
        first.options().pop();
        for node in &mut cluster.nodes {
            node.options().push(address.clone());
        }
        for node in 1..NODES {
            cluster.nodes[node].launch_at(BEGINNING);
        }
        for node in 1..NODES {
            cluster.wait_for(node);
        }
        cluster
    }

    /// Fresh databases, through one node.
    pub fn databases(&self, node: usize) -> Databases {
        self.nodes[node].databases()
    }

    /// Kills a node (SIGKILL).
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Starts a node that was killed, as Debian's unit does, and waits until it takes part again and has what it missed.
    pub fn rejoin(&mut self, node: usize) {
        let position = self.nodes[node].recovered();
        self.nodes[node].launch_at(&position);
        self.wait_for(node);
    }

    /// Whether a node takes part and has everything.
    pub fn is_synced(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        node.answers()
            && node
                .ask("SHOW STATUS LIKE 'wsrep_local_state_comment';")
                .contains("Synced")
    }

    /// How many nodes take part, as one of them sees it.
    pub fn size(&self, node: usize) -> u32 {
        let told = self.nodes[node].ask("SHOW STATUS LIKE 'wsrep_cluster_size';");
        told.split_whitespace().last().unwrap().parse().unwrap()
    }

    fn wait_for(&self, node: usize) {
        wait_until("the node has joined the cluster", || self.is_synced(node));
    }
}

fn options([own, missed, copy]: [u16; 3], port: u16) -> Vec<String> {
    // A node that is gone is noticed within seconds. Any shorter, and the nodes of a machine that is busy with other
    // tests lose each other. Readers wait that long for what they may have missed.
    let provider = format!(
        "gmcast.listen_addr=tcp://127.0.0.1:{own};ist.recv_addr=127.0.0.1:{missed};ist.recv_bind=127.0.0.1:{missed};\
         gcache.size=32M;evs.suspect_timeout=PT5S;evs.inactive_timeout=PT15S;evs.inactive_check_period=PT0.5S;\
         evs.keepalive_period=PT0.5S;repl.causal_read_timeout=PT30S;pc.recovery=false"
    );
    vec![
        "--binlog-format=ROW".into(),
        "--innodb-autoinc-lock-mode=2".into(),
        // Less to copy to a node that joins.
        "--innodb-log-file-size=8M".into(),
        "--wsrep-on=ON".into(),
        format!("--wsrep-provider={PROVIDER}"),
        format!("--wsrep-provider-options={provider}"),
        "--wsrep-cluster-name=tests".into(),
        format!("--wsrep-node-name=at-{port}"),
        format!("--wsrep-node-address=127.0.0.1:{own}"),
        format!("--wsrep-node-incoming-address=127.0.0.1:{port}"),
        "--wsrep-sst-method=rsync".into(),
        format!("--wsrep-sst-receive-address=127.0.0.1:{copy}"),
    ]
}
