//! Connections: how many, how long each may take its time, and what becomes of
//! them when the server stops.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    sync::watch,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use crate::service::{Peer, Service};

/// Connections at once.
const CONNECTIONS_MAX: u64 = 512;
/// The headers of a request have to come in this time; an idle connection is
/// closed after it.
const HEADER_TIME: Duration = Duration::from_secs(20);
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 32 << 10;
/// Whoever takes nothing for so long is not there any more.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// In which the keys of a connection have to be agreed on.
const TLS_TIME: Duration = Duration::from_secs(10);

/// What is said to one too many.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Answers the requests of a connection until it ends.
pub(crate) async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    service: Arc<Service>,
    router: Router,
    tls: Option<TlsAcceptor>,
    stop: watch::Receiver<bool>,
) {
    let open = &service.metrics.connections;
    if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
        let _ = timeout(Duration::from_secs(1), stream.write_all(FULL)).await;
    } else {
        // Pieces of an answer are not to wait for one another.
        let _ = stream.set_nodelay(true);
        match tls {
            None => talk(stream, peer, router, stop).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = timeout(TLS_TIME, tls.accept(stream)).await {
                    talk(stream, peer, router, stop).await;
                }
            }
        }
    }
    open.fetch_sub(1, Ordering::Relaxed);
}

async fn talk<S>(stream: S, peer: SocketAddr, router: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        router.clone().call(request.map(Body::new))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(!*stop.borrow());
    let connection = http.serve_connection(TokioIo::new(Watched { stream, waiting: None }), answer);
    let mut connection = std::pin::pin!(connection);
    let is_new = !*stop.borrow_and_update();
    // How a connection ends is the client's affair.
    let _ = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stop.changed(), if is_new => {
            // The answer under way is finished, and no request taken after it.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
}

/// A stream that fails when the other side takes nothing for a while.
struct Watched<S> {
    stream: S,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(WRITE_TIME)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
