//! The pace of a stream of gRPC messages: between two of them a client may be silent for as long as it likes, within one it may
//! not. One that stops half-way would hold its replica for ever.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::message::HEAD;

/// Where in its messages a stream is, and until when the message at hand has to be whole.
pub(super) struct Pace {
    within: Duration,
    /// What is here of the next message's head.
    head: Vec<u8>,
    /// Bytes that are missing of the message itself.
    missing: usize,
    until: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Each message is to be whole `within` so long after its first byte.
    pub(super) const fn new(within: Duration) -> Self {
        Self { within, head: Vec::new(), missing: 0, until: None, sleep: None }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn advance(&mut self, mut piece: &[u8]) {
        // The next message has a time of its own.
        let mut anew = self.until.is_none();
        while !piece.is_empty() {
            if self.missing == 0 {
                let taken = piece.len().min(HEAD - self.head.len());
                self.head.extend_from_slice(&piece[..taken]);
                piece = &piece[taken..];
                if let [_, a, b, c, d] = *self.head.as_slice() {
                    self.missing = u32::from_be_bytes([a, b, c, d]) as usize;
                    self.head.clear();
                }
            }
            let taken = piece.len().min(self.missing);
            self.missing -= taken;
            piece = &piece[taken..];
            anew |= !self.is_within();
        }
        if !self.is_within() {
            (self.until, self.sleep) = (None, None);
        } else if anew {
            (self.until, self.sleep) = (Some(Instant::now() + self.within), None);
        }
    }

    const fn is_within(&self) -> bool {
        self.missing > 0 || !self.head.is_empty()
    }

    /// Ready once the message at hand is late; asked while no byte comes.
    pub(super) fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Duration> {
        let Some(until) = self.until else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        sleep.as_mut().poll(context).map(|()| self.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late(pace: &mut Pace) -> bool {
        pace.poll_late(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    /// A message of `length` bytes.
    fn message(length: u8) -> Vec<u8> {
        [&[0, 0, 0, 0, length][..], &vec![7; length.into()]].concat()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_late_within_a_message_only() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(second);
        for pieces in [vec![message(3)], vec![message(0)], message(9).chunks(1).map(<[u8]>::to_vec).collect()] {
            pieces.iter().for_each(|piece| pace.advance(piece));
            tokio::time::advance(10 * second).await;
            assert!(!late(&mut pace), "a whole message: {pieces:?}");
        }
        for end in [1, 4, 5, 13] {
            let mut pace = Pace::new(second);
            pace.advance(&[message(2), message(9)[..end].to_vec()].concat());
            assert!(!late(&mut pace));
            tokio::time::advance(2 * second).await;
            assert!(late(&mut pace), "{end} bytes of 14");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_message_has_its_own_time_and_a_trickle_does_not_stretch_it() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(3 * second);
        for byte in [message(9), message(9)].concat().chunks(6) {
            pace.advance(byte);
            tokio::time::advance(second).await;
            assert!(!late(&mut pace));
        }
        for byte in message(9).chunks(2).take(3) {
            pace.advance(byte);
            tokio::time::advance(second).await;
        }
        assert!(late(&mut pace));
    }
}
