//! The filter's view of the outside: of Envoy, or of a test.

/// Further inputs of a decision. The filter asks for each only if a policy needs it.
pub trait Outside: SharedState {
    /// Returns nanoseconds since 1970, the same throughout a decision.
    fn now(&mut self) -> u64;
    /// The name of the route that Envoy chose.
    fn route_name(&mut self) -> Option<Vec<u8>>;
    /// The policy that the route carries in its metadata, as JSON.
    fn route_policy(&mut self) -> Option<Vec<u8>>;
    /// The client's address as Envoy knows it, with its port.
    fn source_address(&mut self) -> Option<Vec<u8>>;
    /// The claim at this path of Envoy's properties, in whatever form Envoy gives it.
    fn claim(&mut self, path: &[u8]) -> Option<Vec<u8>>;
    /// Returns the secret of the counts' fingerprints. `None` if the tables of counts could not be
    /// made.
    fn seed(&mut self) -> Option<Seed>;
}

/// Envoy's shared data, or a test's.
pub trait SharedState {
    /// Returns the value and the number of its last write. `None` if the key is absent.
    ///
    /// # Errors
    /// [`CountError::Unavailable`] if the host answers anything else.
    fn get(&mut self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, CountError>;

    /// Writes if the value is still that of `cas`. Returns whether it wrote. A `cas` of 0 always
    /// writes.
    ///
    /// # Errors
    /// [`CountError::Unavailable`] if the host answers anything else.
    fn set(&mut self, key: &[u8], value: &[u8], cas: u32) -> Result<bool, CountError>;
}

/// The reason for a count that could not be kept. The request is refused (503).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountError {
    /// The host refused to read or write shared data.
    Unavailable,
    /// Other workers were faster each time.
    Contended,
}

/// The secret of the counts' fingerprints, so that nobody can choose an address whose count
/// collides with another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub(crate) [u8; 16]);
