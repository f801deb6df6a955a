//! `webhook`: shows what webhooks were told, tries them, and tells them again.

use chrono::Utc;
use platform::{args::ConfigFile, config::ConfigError};

use crate::{
    clock::Clock,
    config::{Config, WebhookSettings},
    events::{DeliveryError, Event, Webhook, WebhookError},
    store::{Store, StoreError},
};

/// The most undelivered events that are shown or sent again at a time.
const PAGE: u32 = 1_000;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookCommandError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// There is no such webhook.
    #[error("the configuration has no webhook {0:?}; it has: {1}")]
    Unknown(String, String),
    /// The webhook cannot be used.
    #[error("{0}: {1}")]
    Webhook(String, WebhookError),
    /// The receiver did not take it.
    #[error("{0}: {1}")]
    Delivery(String, DeliveryError),
    /// There is no such event.
    #[error("there is no event {0}: the changefeed has no change with this ID")]
    NoSuchEvent(i32),
    /// The operating system refuses a runtime.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// The subcommands of `webhook`.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum WebhookCommand {
    /// Show every webhook, up to which event it was told, and what it did not take; status 1 if there is any.
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Send a message of the kind "ping" and show what the receiver answers; status 1 if it does not take it.
    Test {
        #[command(flatten)]
        file: ConfigFile,
        /// The webhook's name.
        name: String,
    },
    /// Send events again: those that the webhook did not take, or the ones named.
    Replay {
        #[command(flatten)]
        file: ConfigFile,
        /// The webhook's name.
        name: String,
        /// The IDs of the events.
        #[arg(value_name = "ID")]
        events: Vec<i32>,
    },
}

/// Runs the command; returns false if a webhook did not take something.
///
/// # Errors
/// When the configuration, the database or a webhook cannot be used.
pub fn run(command: &WebhookCommand) -> Result<bool, WebhookCommandError> {
    match command {
        WebhookCommand::List { file } => {
            let (config, store) = open(file)?;
            list(&config.webhooks, &store)
        }
        WebhookCommand::Test { file, name } => {
            let config = Config::load(&file.config, false)?;
            let webhook = find(&config.webhooks, name)?;
            match runtime()?.block_on(webhook.ping(Utc::now())) {
                Ok(status) => {
                    platform::say!("{name}: the receiver answered {status}");
                    Ok(true)
                }
                Err(reason) => Err(WebhookCommandError::Delivery(name.clone(), reason)),
            }
        }
        WebhookCommand::Replay { file, name, events } => {
            let (config, store) = open(file)?;
            let webhook = find(&config.webhooks, name)?;
            replay(&webhook, &store, events)
        }
    }
}

fn open(file: &ConfigFile) -> Result<(Config, Store), WebhookCommandError> {
    let config = Config::load(&file.config, false)?;
    let store = Store::open_for_command(&config.storage, config.storage_options)?;
    Ok((config, store))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn find(webhooks: &[WebhookSettings], name: &str) -> Result<Webhook, WebhookCommandError> {
    let Some(settings) = webhooks.iter().find(|webhook| webhook.name == name) else {
        let names: Vec<&str> = webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        let known = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        return Err(WebhookCommandError::Unknown(name.to_owned(), known));
    };
    Webhook::load(settings).map_err(|cause| WebhookCommandError::Webhook(settings.place.clone(), cause))
}

fn list(webhooks: &[WebhookSettings], store: &Store) -> Result<bool, WebhookCommandError> {
    if webhooks.is_empty() {
        platform::say!("the configuration has no webhooks");
    }
    let mut complete = true;
    for webhook in webhooks {
        let missing = store.count_undelivered(&webhook.name)?;
        let told = match store.webhook_settled(&webhook.name)? {
            Some(settled) => format!("told up to event {settled}"),
            None => "not told anything yet".to_owned(),
        };
        let host = webhook.url.host_str().unwrap_or_default();
        platform::say!(
            "{}  {host}  {}  {told}  {missing} not taken",
            webhook.name,
            webhook.kinds.join(",")
        );
        for event in store.undelivered(&webhook.name, PAGE)? {
            platform::say!(
                "  event {}  {}  {}",
                event.change_id,
                event.failed_at.format("%F %T"),
                event.reason
            );
        }
        complete &= missing == 0;
    }
    if !complete {
        platform::say!("send them again with: countersign-server webhook replay --config FILE NAME");
    }
    Ok(complete)
}

fn replay(webhook: &Webhook, store: &Store, asked: &[i32]) -> Result<bool, WebhookCommandError> {
    let name = webhook.name();
    let ids = match asked {
        [] => store
            .undelivered(name, PAGE)?
            .iter()
            .map(|event| event.change_id)
            .collect(),
        asked => asked.to_vec(),
    };
    if ids.is_empty() {
        platform::say!("{name} took every event; nothing to do");
    }
    let runtime = runtime()?;
    let mut complete = true;
    for id in ids {
        let change = store.change(id)?.ok_or(WebhookCommandError::NoSuchEvent(id))?;
        let event = Event::new(&change, &store.effect_of(&change)?);
        match runtime.block_on(webhook.send(&event, Utc::now())) {
            Ok(()) => {
                store.remove_undelivered(name, id)?;
                platform::say!("event {id}: taken");
            }
            Err(reason) => {
                let reason = reason.to_string();
                store.add_undelivered(name, id, &reason, Clock::System.now())?;
                platform::say!("event {id}: not taken: {reason}");
                complete = false;
            }
        }
    }
    Ok(complete)
}
