//! Passes on what happens on the streams: to the status at once, and to the reloader, which
//! decides what follows from it, in the order in which it happened.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Input;
use crate::{
    status::Status,
    xds::{Event, Observer, StreamId},
};

/// What the reloader hears of a stream.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The stream.
    pub stream: StreamId,
    /// What has happened.
    pub input: Input,
}

/// Hears all streams.
#[derive(Debug)]
pub struct Relay {
    status: Arc<Status>,
    heard: mpsc::UnboundedSender<Heard>,
}

impl Relay {
    /// Tells both. The channel needs no bound: the reloader takes in everything that waits between
    /// two looks at the file, and a stream says little. It says that it is there, gone or has a
    /// generation, and a few kB for a rejection, of which each response allows one.
    pub fn new(status: Arc<Status>, heard: mpsc::UnboundedSender<Heard>) -> Self {
        Self { status, heard }
    }

    fn tell(&self, stream: StreamId, input: Input) {
        // When everything ends, nobody listens any more.
        let _ = self.heard.send(Heard { stream, input });
    }
}

impl Observer for Relay {
    fn event(&self, stream: StreamId, event: Event) {
        let input = match &event {
            Event::Opened { node, .. } => Some(Input::Opened { node: node.id.as_str().into() }),
            Event::Confirmed { generation } => Some(Input::Confirmed { generation: *generation }),
            Event::Nacked(rejection) => Some(Input::Nacked(rejection.clone())),
            Event::Subscribed { .. } | Event::Sent { .. } | Event::Acked { .. } => None,
        };
        // The status first: someone who reads there that a generation is confirmed or rejected
        // then finds the reason, too.
        self.status.event(stream, event);
        if let Some(input) = input {
            self.tell(stream, input);
        }
    }

    fn closed(&self, stream: StreamId) {
        self.status.closed(stream);
        self.tell(stream, Input::Closed);
    }
}
