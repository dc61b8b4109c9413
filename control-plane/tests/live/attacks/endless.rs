//! Endless bodies that the other side does not read. Envoy buffers little of them and takes no
//! more.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use legation_testing::{
    Wire, eventually,
    wire::{
        head,
        http2::{END_STREAM, HELLO, SETTINGS, block, frame, headers},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time,
};

use super::scene::{MIB, Scene, file, upstream_that, with};

/// The most that is taken of one body. Most of it lies in the system's buffers on both sides of
/// Envoy.
const MOST: usize = 32 * MIB;
/// A peer that takes nothing for this long takes nothing more.
const STALLED: Duration = Duration::from_millis(500);

/// Writes the same bytes again and again until the other side takes no more. Returns how many it
/// took.
async fn write_until_stalled(mut writer: impl AsyncWrite + Unpin, bytes: &[u8]) -> usize {
    let mut written = 0;
    while let Ok(Ok(count)) = time::timeout(STALLED, writer.write(&bytes[written % bytes.len()..])).await {
        written += count;
        assert!(written < MOST, "it takes it all");
    }
    written
}

/// The number of bodies of each kind at once.
const BODIES: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_an_end_is_held_back_by_who_does_not_read_it() {
    let counts = Arc::<Counts>::default();
    let counted = counts.clone();
    let up = upstream_that(never_read).await;
    let file = with(file().await, "up", up, "stream: upload, timeouts: {idle: 2s}", "");
    let endless = upstream_that(move |connection| answer_without_an_end(connection, counted.clone())).await;
    let scene = Scene::open(with(file, "down", endless, "stream: download, timeouts: {idle: 3s}", "")).await;
    tokio::join!(uploads(scene.gateway.port), answers(scene.gateway.port, &counts));
    scene.ends_unharmed(64).await;
}

async fn never_read(connection: TcpStream) {
    let _connection = connection;
    future::pending().await
}

async fn uploads(port: u16) {
    let chunk = [b"10000\r\n", &*vec![b'a'; 0x10000], b"\r\n"].concat();
    let taken = join_all((0..BODIES).map(async |_| {
        let mut client = Wire::connect(port).await;
        client.say(head("POST /up", "transfer-encoding: chunked\r\n")).await;
        let taken = write_until_stalled(&mut client.writer, &chunk).await;
        assert_eq!(client.reader.until(" 408 ").await, "HTTP/1.1 408 ");
        taken
    }))
    .await;
    println!("taken of each upload: {} MiB", taken.iter().sum::<usize>() / BODIES / MIB);
}

/// Counts of endless answers: those that were held back, and those that have ended since.
#[derive(Default)]
struct Counts {
    held: AtomicUsize,
    ended: AtomicUsize,
}

async fn answer_without_an_end(mut connection: TcpStream, counts: Arc<Counts>) {
    let _ = connection.read(&mut [0; 4096]).await;
    let (mut reader, mut writer) = connection.into_split();
    let _ = writer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    write_until_stalled(&mut writer, &[b'a'; 0x10000]).await;
    counts.held.fetch_add(1, Ordering::Relaxed);
    let _ = reader.read_to_end(&mut Vec::new()).await;
    counts.ended.fetch_add(1, Ordering::Relaxed);
}

async fn answers(port: u16, counts: &Counts) {
    let over_http1 = join_all((0..BODIES).map(async |_| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut connection = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
        connection.write_all(head("GET /down", "").as_bytes()).await.unwrap();
        connection
    }))
    .await;
    // A connection over HTTP/2 whose streams have no window.
    let mut over_http2 = Wire::connect(port).await;
    let no_window = [&[0, 4], &0_u32.to_be_bytes()[..]].concat();
    let asked = (0..BODIES).flat_map(|number| headers(END_STREAM, 2 * number as u32 + 1, &block("GET", "/down")));
    let asked: Vec<u8> = HELLO.iter().copied().chain(frame(SETTINGS, 0, 0, &no_window)).chain(asked).collect();
    over_http2.say(asked).await;
    eventually("all are held back", || async { counts.held.load(Ordering::Relaxed) == 2 * BODIES }).await;
    // `idle` ends them, since nothing moves.
    eventually("all have ended", || async { counts.ended.load(Ordering::Relaxed) == 2 * BODIES }).await;
    drop((over_http1, over_http2));
}
