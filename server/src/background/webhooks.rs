//! Tells webhooks of events: at least once, in the order in which the changes appeared. Of several servers on one database,
//! one at a time does it for each webhook.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    clock::Clock,
    events::{self, Event, Feed, Webhook},
    state::{ServiceError, with_store},
    store::Store,
    telemetry::metrics,
};

/// How often the database is asked for changes.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a server may tell a webhook without renewing its lease: longer than one attempt takes.
const LEASE: TimeDelta = TimeDelta::seconds(20);
/// The longest time between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Tells one webhook of events.
pub struct Telling {
    /// The webhook.
    pub webhook: Webhook,
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

/// Whether it goes on.
enum Told {
    Everything,
    /// Another server tells this webhook.
    Elsewhere,
}

/// Tells a webhook of events for as long as the server runs.
pub async fn run(telling: Telling) {
    let holder = super::random_name();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What is known while the lease is held, and whether the receiver took the last event.
    let mut feed = None;
    let mut takes_events = true;
    loop {
        ticks.tick().await;
        match telling.round(&holder, &mut feed, &mut takes_events).await {
            Ok(Told::Everything) => {}
            Ok(Told::Elsewhere) => feed = None,
            Err(reason) => {
                feed = None;
                let name = telling.webhook.name();
                tracing::warn!(webhook = name, %reason, "a webhook could not be told of events; the next round tries again");
            }
        }
    }
}

impl Telling {
    async fn round(
        &self,
        holder: &str,
        feed: &mut Option<Feed>,
        takes_events: &mut bool,
    ) -> Result<Told, ServiceError> {
        if !self.hold(holder).await? {
            return Ok(Told::Elsewhere);
        }
        let feed = match feed {
            Some(feed) => feed,
            None => feed.insert(self.feed().await?),
        };
        loop {
            let before = feed.settled();
            let (events, is_full) = feed.next().await?;
            for event in events.iter().filter(|event| self.webhook.wants(event)) {
                if !self.tell(event, holder, takes_events).await? {
                    return Ok(Told::Elsewhere);
                }
            }
            let settled = feed.settled();
            if settled != before {
                let (name, now) = (self.webhook.name().to_owned(), self.clock.now());
                with_store(&self.store, move |store| {
                    store.settle_webhook(&name, settled, now)
                })
                .await?;
            }
            if !is_full {
                return Ok(Told::Everything);
            }
        }
    }

    /// Takes or renews the lease. Its name is that of no repository.
    async fn hold(&self, holder: &str) -> Result<bool, ServiceError> {
        let name = format!("*webhook {}", self.webhook.name());
        let (holder, now) = (holder.to_owned(), self.clock.now());
        with_store(&self.store, move |store| {
            store.take_lease(&name, &holder, now, now + LEASE)
        })
        .await
    }

    /// The events from where the webhook was told last; from now on for a new one.
    async fn feed(&self) -> Result<Feed, ServiceError> {
        let name = self.webhook.name().to_owned();
        let settled = with_store(&self.store, move |store| store.webhook_settled(&name)).await?;
        if let Some(settled) = settled {
            return Ok(Feed::after(&self.store, None, settled));
        }
        let newest = events::newest(&self.store).await?;
        let (name, now) = (self.webhook.name().to_owned(), self.clock.now());
        with_store(&self.store, move |store| store.settle_webhook(&name, newest, now)).await?;
        Ok(Feed::after(&self.store, None, newest))
    }

    /// Tells the webhook of an event, in several attempts if necessary, and stores that it could not be told otherwise.
    /// Returns false if another server took over meanwhile.
    async fn tell(&self, event: &Event, holder: &str, takes_events: &mut bool) -> Result<bool, ServiceError> {
        // Whoever did not take the last event gets one attempt for the next one, so that what waits does not grow.
        let attempts = if *takes_events { self.webhook.attempts() } else { 1 };
        let mut wait = INTERVAL;
        let mut attempt = 1;
        loop {
            if !self.hold(holder).await? {
                return Ok(false);
            }
            let reason = match self.webhook.send(event, self.clock.now()).await {
                Ok(()) => {
                    *takes_events = true;
                    metrics::webhook_told(self.webhook.name(), true);
                    return Ok(true);
                }
                Err(reason) => reason.to_string(),
            };
            let name = self.webhook.name();
            tracing::warn!(
                webhook = name,
                event = event.id,
                attempt,
                reason,
                "a webhook did not take an event"
            );
            if attempt >= attempts {
                *takes_events = false;
                metrics::webhook_told(name, false);
                let (name, id, now) = (name.to_owned(), event.id, self.clock.now());
                with_store(&self.store, move |store| {
                    store.add_undelivered(&name, id, &reason, now)
                })
                .await?;
                return Ok(true);
            }
            attempt += 1;
            self.wait(wait, holder).await?;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Waits, and keeps the lease meanwhile.
    async fn wait(&self, mut left: Duration, holder: &str) -> Result<(), ServiceError> {
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(5));
            tokio::time::sleep(step).await;
            left = left.saturating_sub(step);
            // If another server has taken over, the next attempt is not made.
            self.hold(holder).await?;
        }
        Ok(())
    }
}
