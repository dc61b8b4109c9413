//! A gateway that the tests of a file share.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
};

use tokio::{runtime::Runtime, sync::OnceCell};

use super::{File, Gateway, Options};

/// A gateway that is started by the first test that asks for it and ends with the process of the
/// tests. Its upstreams have to be started by what makes its file: they run as long as it does,
/// while everything that a test starts ends with the test.
///
/// No test may edit its file, signal it or leave traces that another test looks at: each has
/// routes, consumers and limits of its own in it.
pub struct Shared {
    file: fn() -> Making,
    gateway: OnceCell<Arc<Gateway>>,
}

/// A file that is being made.
pub type Making = Pin<Box<dyn Future<Output = File> + Send>>;

impl Shared {
    pub const fn new(file: fn() -> Making) -> Self {
        Self { file, gateway: OnceCell::const_new() }
    }

    /// The gateway, with a client of the test's own.
    pub async fn get(&'static self) -> Gateway {
        let start = || async {
            let start = async { Gateway::keep(Options::default(), (self.file)().await).await };
            Arc::new(background().spawn(start).await.expect("it starts"))
        };
        self.gateway.get_or_init(start).await.for_another()
    }
}

/// A runtime that outlives tests.
fn background() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
    &RUNTIME
}
