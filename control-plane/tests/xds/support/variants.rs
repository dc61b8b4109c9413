//! Tests that hold in both variants of the protocol.

/// Makes two tests of each function that is generic over the variant: `name::delta` and
/// `name::state_of_the_world`. With `async` before the names the functions are asynchronous.
macro_rules! both_variants {
    (async $($name:ident),+ $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn delta() {
                super::$name::<legation::xds::Delta>().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn state_of_the_world() {
                super::$name::<legation::xds::Sotw>().await;
            }
        })+
    };
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn delta() {
                super::$name::<legation::xds::Delta>();
            }

            #[test]
            fn state_of_the_world() {
                super::$name::<legation::xds::Sotw>();
            }
        })+
    };
}
