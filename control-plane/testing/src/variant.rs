//! The variants of xDS.

/// A variant of xDS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Delta,
    StateOfTheWorld,
}

impl Variant {
    /// Returns the arguments of `legation run` and `legation bootstrap` for it.
    pub const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Delta => &[],
            Self::StateOfTheWorld => &["--sotw"],
        }
    }
}

/// Makes two tests of each function with a [`Variant`] as its argument: `NAME::delta` and
/// `NAME::state_of_the_world`.
#[macro_export]
macro_rules! both_variants {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn delta() {
                super::$name($crate::Variant::Delta).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn state_of_the_world() {
                super::$name($crate::Variant::StateOfTheWorld).await;
            }
        }
    )+};
}
