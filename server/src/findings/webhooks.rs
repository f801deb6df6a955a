//! Checks that webhooks can be used.

use super::Finding;
use crate::{config::Config, events::Webhook};

/// Checks the files and URLs of webhooks.
pub(super) fn of_webhooks(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for settings in &config.webhooks {
        if let Err(cause) = Webhook::load(settings) {
            found.push(Finding::refusal(format!("{}: {cause}", settings.place)));
        } else if settings.url.scheme() == "http" && !settings.allow_private {
            found.push(Finding::note(
                format!(
                    "{}.url: events are sent without TLS: anybody on the way can read them",
                    settings.place
                ),
                "use https",
            ));
        }
    }
    found
}
