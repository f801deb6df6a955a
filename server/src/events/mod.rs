//! What happens to repositories, told to whoever wants to know: the events that follow from the changefeed.

mod event;
mod feed;
mod webhook;

pub use crate::confirmed::Cursor;
pub use event::{Event, Kind, Target, Targets};
pub use feed::{Feed, newest};
pub use webhook::{DeliveryError, Webhook, WebhookError};
