//! Passes on what happens on the streams: to the status at once, and to the reloader, which decides what follows from it,
//! in the order in which it happened.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Input;
use crate::{
    status::Status,
    xds::{Event, Observer, StreamId},
};

/// What a stream says to the reloader.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Which stream.
    pub stream: StreamId,
    /// What has happened.
    pub input: Input,
    /// The client's words, where it rejected something.
    pub message: String,
}

/// Hears all streams.
#[derive(Debug)]
pub struct Relay {
    status: Arc<Status>,
    heard: mpsc::UnboundedSender<Heard>,
}

impl Relay {
    /// Tells both. The reloader takes in everything that waits between two looks at the file; a stream says little of it: that it
    /// is there, gone or has a generation, and a few kB for a rejection, of which each response allows one.
    pub fn new(status: Arc<Status>, heard: mpsc::UnboundedSender<Heard>) -> Self {
        Self { status, heard }
    }

    fn tell(&self, stream: StreamId, input: Input, message: String) {
        // Nobody listens any more when everything ends.
        let _ = self.heard.send(Heard { stream, input, message });
    }
}

impl Observer for Relay {
    fn event(&self, stream: StreamId, event: Event) {
        let (input, message) = match &event {
            Event::Opened { node, .. } => (Some(Input::Opened { node: node.id.as_str().into() }), ""),
            Event::Confirmed { generation } => (Some(Input::Confirmed { generation: *generation }), ""),
            Event::Nacked { kind, generation, message, culprit } => {
                let culprit = culprit.clone();
                (Some(Input::Nacked { kind: *kind, generation: *generation, culprit }), message.as_str())
            }
            Event::Subscribed { .. } | Event::Sent { .. } | Event::Acked { .. } => (None, ""),
        };
        let heard = input.map(|input| (input, message.to_owned()));
        // The status first: whoever reads there that a generation is confirmed or rejected finds the reason, too.
        self.status.event(stream, event);
        if let Some((input, message)) = heard {
            self.tell(stream, input, message);
        }
    }

    fn closed(&self, stream: StreamId) {
        self.status.closed(stream);
        self.tell(stream, Input::Closed, String::new());
    }
}
