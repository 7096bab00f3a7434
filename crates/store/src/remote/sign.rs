//! How a request to a store proves who asks: what an object store's signer does to it, just before it is sent.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::StoreError;

/// A request of ours.
pub(super) type Asking = Request<Full<Bytes>>;

/// The signing of one request; credentials may have to be fetched for it.
pub(super) type Signing<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// Signs requests to one store. A redirect to another host is not signed.
pub(super) trait Sign: Send + Sync {
    /// Adds what proves who asks; headers that are there are to stay.
    fn sign<'a>(&'a self, request: &'a mut Asking) -> Signing<'a>;

    /// The store says that the credentials are too old. Whether others can be had, so that asking again may help.
    fn renew(&self) -> bool {
        false
    }
}
