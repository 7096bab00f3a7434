//! The floor that `bench/run` measures the server against: hyper and the arithmetic, nothing else.
//!
//! It reads a body of rows of 784 little-endian FP32, computes what examples/mnist computes (784 x 32 ReLU, 32 x 10 softmax, with
//! made-up weights) and answers rows of 10. It checks nothing, counts nothing and speaks nothing else; whatever a real server does
//! more has its price in the difference. Its threads are as the server's own: reactors that serve a connection for life.

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const INPUTS: usize = 784;
const HIDDEN: usize = 32;
const CLASSES: usize = 10;

/// Weights by input, so that a row of them is added at a time.
struct Network {
    first: Vec<[f32; HIDDEN]>,
    second: Vec<[f32; CLASSES]>,
}

impl Network {
    fn new() -> Self {
        let mut seed = 1_u32;
        let mut next = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        Self {
            first: (0..INPUTS).map(|_| std::array::from_fn(|_| next())).collect(),
            second: (0..HIDDEN).map(|_| std::array::from_fn(|_| next())).collect(),
        }
    }

    fn answer(&self, row: &[u8]) -> [f32; CLASSES] {
        let mut hidden = [0.0; HIDDEN];
        for (bytes, weights) in row.as_chunks().0.iter().zip(&self.first) {
            let value = f32::from_le_bytes(*bytes);
            hidden.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
        }
        let mut scores = [0.0; CLASSES];
        for (value, weights) in hidden.iter().zip(&self.second) {
            scores.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value.max(0.0) * weight);
        }
        let greatest = scores.iter().copied().fold(f32::MIN, f32::max);
        scores.iter_mut().for_each(|score| *score = (*score - greatest).exp());
        let sum: f32 = scores.iter().sum();
        scores.map(|score| score / sum)
    }
}

async fn answer(network: Arc<Network>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let mut answer = Vec::with_capacity(body.len() / INPUTS * CLASSES);
    for row in body.chunks_exact(INPUTS * size_of::<f32>()) {
        network.answer(row).iter().for_each(|score| answer.extend_from_slice(&score.to_le_bytes()));
    }
    Ok(Response::new(Full::new(answer.into())))
}

async fn serve(stream: std::net::TcpStream, network: Arc<Network>) -> Result<(), Box<dyn std::error::Error>> {
    let stream = TcpStream::from_std(stream)?;
    stream.set_nodelay(true)?;
    let service = service_fn(|request| answer(Arc::clone(&network), request));
    Ok(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?)
}

/// `floor [THREADS]`: listens on a port of the system's choice and prints it.
fn main() -> io::Result<()> {
    let threads = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let network = Arc::new(Network::new());
    let mut reactors = Vec::new();
    for _ in 0..threads {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        reactors.push(runtime.handle().clone());
        std::thread::spawn(move || runtime.block_on(std::future::pending::<Infallible>()));
    }
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        io::stdout().flush()?;
        for reactor in reactors.iter().cycle() {
            let (stream, network) = (listener.accept().await?.0.into_std()?, Arc::clone(&network));
            reactor.spawn(async move {
                if let Err(error) = serve(stream, network).await {
                    eprintln!("a connection ended badly: {error}");
                }
            });
        }
        Ok(())
    })
}
