//! What happens to repositories, told to whoever wants to know: the events that follow from the changefeed.

mod cursor;
mod event;
mod feed;
mod webhook;

pub use cursor::Cursor;
pub use event::{Event, Kind};
pub use feed::{Feed, newest};
pub use webhook::{DeliveryError, Webhook, WebhookError};
