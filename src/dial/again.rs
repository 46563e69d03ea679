//! Working with a server that may go away: connect, work until the connection is lost, connect again.

use super::Attempts;
use crate::api::client::Backoff;
use crate::fault::Fault;
use crate::task::Shutdown;

/// A client whose whole work is done over one connection at a time.
pub trait Client: Sync {
    /// Whom it connects to, for the log.
    const SERVER: &'static str;
    /// A connection that stands, with everything that the work needs.
    type Link: Send;

    /// Connects. Dropping it half way must leave nothing behind but a connection that closes.
    fn open(&self) -> impl Future<Output = Result<Self::Link, Fault>> + Send;

    /// Works until the connection is lost, which is a fault, or until `shutdown` is requested and all is done.
    fn work(&self, link: Self::Link, shutdown: &Shutdown) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Has the client work until `shutdown` and everything is done.
///
/// # Errors
/// As [`Attempts::failed`].
pub async fn work<C: Client>(client: &C, backoff: &Backoff, shutdown: &Shutdown) -> Result<(), Fault> {
    let mut attempts = Attempts::new(C::SERVER, backoff);
    loop {
        let opened = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            opened = client.open() => opened,
        };
        let fault = match opened {
            Ok(link) => {
                attempts.agreed();
                match client.work(link, shutdown).await {
                    Ok(()) => return Ok(()),
                    Err(fault) => fault,
                }
            }
            Err(fault) => fault,
        };
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            again = attempts.failed(fault) => again?,
        }
    }
}
