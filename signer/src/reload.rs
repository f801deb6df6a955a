//! Reads changed files again without dropping a connection: on SIGHUP, and when a file changes.

use std::path::{Path, PathBuf};

use platform::{
    logging::{Level, LevelControl},
    watch::{LOOK, Watched, mark},
};
use tokio::{signal::unix::Signal, time::interval};

use crate::{
    config::{self, Config, RefusedConfig, Storage},
    grpc::Generations,
};

/// What a running signer reads again, and what it needs to notice changes that need a restart.
pub struct Reload {
    path: PathBuf,
    strict: bool,
    level: Option<LevelControl>,
    storage: Storage,
    policy: crate::policy::SigningPolicy,
    addresses: Vec<std::net::SocketAddr>,
    watched: Watched,
}

impl Reload {
    /// For a signer that was started with `config` from `path`, which was in the state `as_read` when it was read.
    /// `level` sets the log level from the file; `None` if the command line has set it.
    pub fn new(
        path: &Path,
        as_read: platform::watch::Mark,
        config: &Config,
        strict: bool,
        level: Option<LevelControl>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            strict,
            level,
            storage: config.storage.clone(),
            policy: config.policy,
            addresses: config.transport.addresses.clone(),
            watched: Watched::new(path, as_read, config.transport.files.clone()),
        }
    }

    /// Reloads on each SIGHUP and each change of a file, for as long as the signer runs.
    pub async fn run(mut self, generations: Generations, mut hangups: Signal) {
        let mut looks = interval(LOOK);
        loop {
            let reason = tokio::select! {
                hangup = hangups.recv() => match hangup {
                    Some(()) => "SIGHUP",
                    None => return,
                },
                _ = looks.tick() => {
                    if !self.watched.has_settled() {
                        continue;
                    }
                    "a file changed"
                }
            };
            match self.reload(&generations) {
                Ok((generation, level)) => {
                    tracing::info!(
                        reason,
                        generation,
                        "reloaded certificates, client CAs and allowed clients"
                    );
                    if let Some(control) = &self.level {
                        control.set(level);
                    }
                }
                Err(cause) => {
                    tracing::error!(reason, %cause, "the reload was refused; everything stays as it was");
                }
            }
        }
    }

    /// Replaces everything at once; if anything is wrong, everything stays as it was.
    fn reload(&mut self, generations: &Generations) -> Result<(u64, Level), RefusedConfig> {
        let as_read = mark(&self.path);
        let settings = config::load(&self.path)?;
        let level: Level = config::log_level(&settings)?;
        let config = Config::read(&settings, self.strict);
        // New files are watched even if the configuration is refused, because a missing file may appear later.
        if let Ok(config) = &config {
            self.watched = Watched::new(&self.path, as_read, config.transport.files.clone());
        }
        let config = config?;
        for remark in &config.remarks {
            tracing::warn!("{remark}");
        }
        for key in self.needs_restart(&config) {
            tracing::warn!(key, "this key has changed, which takes effect at the next start");
        }
        if !config.transport.clients_verified() && generations.now().trust().is_some() {
            return Err(RefusedConfig::NoClientCa);
        }
        let generation = config.transport.generation;
        for warning in generation.warnings() {
            tracing::warn!("{warning}");
        }
        Ok((generations.take_up(generation), level))
    }

    fn needs_restart(&self, config: &Config) -> Vec<&'static str> {
        [
            ("server.grpc_addr", self.addresses != config.transport.addresses),
            ("storage", self.storage != config.storage),
            ("signing.policy", self.policy != config.policy),
        ]
        .into_iter()
        .filter_map(|(key, changed)| changed.then_some(key))
        .collect()
    }
}
