//! What a request carries: nothing, a few bytes, or a file that is read as it is sent, however large it is.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

/// The body of a request to a store.
pub(super) type Payload = Either<Full<Bytes>, FileBody>;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// A file of a size that is known; what it has beyond that is not sent.
pub(super) struct FileBody {
    file: File,
    left: u64,
    piece: Box<[u8]>,
    /// Counts what was handed to the connection.
    sent: Arc<AtomicU64>,
}

impl FileBody {
    pub(super) async fn open(path: &Path, bytes: u64, sent: Arc<AtomicU64>) -> io::Result<Self> {
        Ok(Self { file: File::open(path).await?, left: bytes, piece: vec![0; PIECE].into(), sent })
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let most = usize::try_from(this.left).unwrap_or(PIECE).min(PIECE);
        let mut buffer = ReadBuf::new(&mut this.piece[..most]);
        if let Err(error) = ready!(Pin::new(&mut this.file).poll_read(context, &mut buffer)) {
            return Poll::Ready(Some(Err(error)));
        }
        let read = buffer.filled();
        if read.is_empty() {
            let words = format!("the file ended {} bytes before it should", this.left);
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, words))));
        }
        let piece = Bytes::copy_from_slice(read);
        this.left -= piece.len() as u64;
        this.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
