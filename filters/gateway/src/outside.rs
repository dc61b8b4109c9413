//! What the filter may ask of the world outside: of Envoy, or of a test.

/// What a decision may ask for beside the headers. Each is asked for only if a policy needs it.
pub trait Outside: SharedState {
    /// Nanoseconds since 1970; the same throughout a decision.
    fn now(&mut self) -> u64;
    /// The name of the route that Envoy chose.
    fn route_name(&mut self) -> Option<Vec<u8>>;
    /// The policy that the route carries in its metadata, as JSON.
    fn route_policy(&mut self) -> Option<Vec<u8>>;
    /// The client's address as Envoy knows it, with its port.
    fn source_address(&mut self) -> Option<Vec<u8>>;
    /// The claim at this path of Envoy's properties, in whatever form Envoy gives it.
    fn claim(&mut self, path: &[u8]) -> Option<Vec<u8>>;
    /// The secret of the counts' fingerprints; `None` where the tables of counts could not be made.
    fn seed(&mut self) -> Option<Seed>;
}

/// Envoy's shared data, or a test's.
pub trait SharedState {
    /// The value and the number that tells this write of it from others; `None` where the key is
    /// absent.
    ///
    /// # Errors
    /// [`CountError::Unavailable`] where the host says anything else.
    fn get(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError>;

    /// Writes if the value is still that of `cas`; `false` if it is not. A `cas` of 0 always
    /// writes.
    ///
    /// # Errors
    /// [`CountError::Unavailable`] where the host says anything else.
    fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<bool, CountError>;
}

/// Why a count could not be kept. The request is refused (503): a limit that cannot be counted
/// holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountError {
    /// The host refused to read or write shared data.
    Unavailable,
    /// Other workers were quicker again and again.
    Contended,
}

/// The secret of the counts' fingerprints, so that nobody can choose an address whose count
/// collides with another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub(crate) [u8; 16]);
