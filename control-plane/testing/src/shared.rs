//! A gateway that the tests of a file share.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
};

use tokio::{runtime::Runtime, sync::OnceCell};

use super::{File, Gateway, Options};

/// A gateway that the first test starts and that ends with the process of the tests. The function
/// that makes its file must also start its upstreams, since everything that a test starts ends with
/// the test.
///
/// No test may edit its file, signal it, or leave traces that another test sees. Each test has its
/// own routes, consumers and limits in the file.
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

    /// Returns the gateway, with a client for this test.
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
