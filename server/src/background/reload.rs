//! Takes up changed files without dropping a connection: on SIGHUP, when a file changes, and at fixed times.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::web;
use platform::{
    logging::LevelControl,
    watch::{LOOK, Mark, Watched, mark},
};
use tokio::{
    signal::unix::Signal,
    time::{Instant, interval},
};

use crate::{
    config::Config,
    findings::{self, Refused},
    generation::{self, Generation, GenerationError},
    state::State,
    telemetry::{metrics, reloads::Reloaded},
};

/// The configuration file.
pub struct File {
    /// Its path.
    pub path: PathBuf,
    /// Whether unknown keys are refused.
    pub strict: bool,
}

/// Why a reload is refused.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    /// The configuration, or a file that it names, is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The new generation cannot replace the current one.
    #[error(transparent)]
    Generation(#[from] GenerationError),
}

/// The files on which a configuration depends, with the configuration file as it was when it was read.
pub fn watch(path: &Path, as_read: Mark, config: &Config) -> Watched {
    let mut files = generation::files(config);
    files.extend(findings::further_files(config));
    Watched::new(path, as_read, files)
}

/// Builds a new generation from the configuration file as it is now, and takes it up. On any error everything stays as
/// it was. `watched` becomes the set of files that this configuration names, even if it is refused, because a missing
/// file may be created later.
///
/// # Errors
/// When the configuration or one of its files is refused.
fn reload(state: &State, file: &File, watched: &mut Watched) -> Result<Config, ReloadError> {
    let path = &file.path;
    let as_read = mark(path);
    let config = findings::read(path, file.strict)?;
    // Marks are taken before the files are read, so that a change made during the read is noticed afterwards.
    *watched = watch(path, as_read, &config);
    let config = findings::accept(config, state.clock.now())?;
    same_listeners(&state.config, &config)?;
    same_registry(&state.config, &config)?;
    let number = state.generation.load().number() + 1;
    let generation = Generation::load(&config, state.clock, number)?;
    let before = state.generation.load();
    generation
        .revocation
        .succeed(&before.revocation, state.clock.now())
        .map_err(|cause| GenerationError::Revocation(cause.into()))?;
    for warning in generation.warnings(state.clock.now()) {
        tracing::warn!("{warning}");
    }
    state.generation.store(Arc::new(generation));
    Ok(config)
}

/// Listeners stay as they were at start-up, because replacing them would drop connections.
fn same_listeners(now: &Config, then: &Config) -> Result<(), GenerationError> {
    let places = |config: &Config| -> Vec<_> {
        let listeners = config.listeners.iter();
        listeners
            .map(|listener| {
                let kind = (
                    listener.tls.is_some(),
                    listener.proxy_trust.proxy_protocol(),
                    listener.serves,
                );
                (listener.name.clone(), listener.addresses.clone(), kind)
            })
            .collect()
    };
    let (before, after) = (places(now), places(then));
    match after.iter().find(|place| !before.contains(place)) {
        Some((name, ..)) => Err(GenerationError::Listener(name.clone())),
        None if before.len() != after.len() => Err(GenerationError::ListenerGone),
        None => Ok(()),
    }
}

/// The registry stays as it was at start-up: without it, what is demanded of its images would be forgotten while it is
/// still served.
fn same_registry(now: &Config, then: &Config) -> Result<(), GenerationError> {
    let same = match (&now.registry, &then.registry) {
        (None, None) => true,
        (Some(now), Some(then)) => now.is_same_registry(then),
        _ => false,
    };
    if same {
        Ok(())
    } else {
        Err(GenerationError::Registry)
    }
}

/// Reloads whenever there is a reason to, for as long as the server runs. `level` sets the log level to that of the
/// file; `None` if the command line has set it.
pub async fn run(
    state: web::Data<State>,
    file: File,
    mut watched: Watched,
    mut hangups: Signal,
    level: Option<LevelControl>,
) {
    let mut settings = state.config.reload;
    let mut looks = interval(LOOK);
    let mut last = Instant::now();
    loop {
        let mut asking = None;
        let reason = tokio::select! {
            hangup = hangups.recv() => match hangup {
                Some(()) => "SIGHUP",
                None => return,
            },
            asked = state.reloads.asked() => {
                asking = asked;
                "an administrator asked for it"
            },
            _ = looks.tick() => {
                if settings.watch && watched.has_settled() {
                    "a file changed"
                } else if settings.every.is_some_and(|every| last.elapsed() >= every) {
                    "reload.every"
                } else {
                    continue;
                }
            }
        };
        last = Instant::now();
        state.audit.reopen();
        let outcome = reload(&state, &file, &mut watched);
        let taken = outcome.is_ok();
        let refused = match outcome {
            Ok(config) => {
                settings = config.reload;
                tracing::info!(
                    reason,
                    generation = state.generation.load().number(),
                    "reloaded certificates, client CAs, identity rules and policy"
                );
                if let Some(control) = &level {
                    control.set(config.log_level);
                }
                None
            }
            Err(cause) => {
                tracing::error!(reason, %cause, "the reload was refused; everything stays as it was");
                Some(cause.to_string())
            }
        };
        let reloaded = Reloaded {
            at: state.clock.now(),
            refused,
        };
        state.last_reload.set(reloaded.clone());
        if let Some(asking) = asking {
            // Whoever asked may have gone.
            let _ = asking.send(reloaded);
        }
        // Counted last, so that a reader who sees the count sees its effects as well.
        metrics::reloaded(taken);
    }
}
