//! Messages on a stream: one question, one answer, each ended by closing its side, each with a hard limit.

use crate::dht::message::{MAX_PAGE_BYTES, MAX_REQUEST_BYTES, Request, Response};
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response;
use std::io;

/// Reads and writes the messages of `record/1`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RecordCodec;

impl request_response::Codec for RecordCodec {
    type Protocol = StreamProtocol;
    /// `None` is a question of a kind that we do not know.
    type Request = Option<Request>;
    type Response = Response;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Option<Request>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let bytes = read_at_most(io, MAX_REQUEST_BYTES).await?;
        Request::decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        let bytes = read_at_most(io, MAX_PAGE_BYTES).await?;
        Response::decode(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Option<Request>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let request = request.ok_or_else(|| io::Error::other("a question of an unknown kind is never asked"))?;
        io.write_all(&request.encode()).await?;
        io.close().await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: Response) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&response.encode()).await?;
        io.close().await
    }
}

/// Everything up to the end of the stream, refused once it exceeds `limit`: nothing is allocated beyond it.
async fn read_at_most<T: AsyncRead + Unpin + Send>(io: &mut T, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(limit.min(2048));
    io.take(limit as u64 + 1).read_to_end(&mut bytes).await?;
    if bytes.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of more than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_beyond_the_limit_is_refused() {
        let long = vec![0; MAX_REQUEST_BYTES + 1];
        let read = read_at_most(&mut &long[..], MAX_REQUEST_BYTES).await;
        assert_eq!(read.expect_err("too long").kind(), io::ErrorKind::InvalidData);
        let fits = read_at_most(&mut &long[1..], MAX_REQUEST_BYTES).await;
        assert_eq!(fits.expect("fits").len(), MAX_REQUEST_BYTES);
    }
}
