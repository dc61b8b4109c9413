//! Bodies without an end, one side of which is not read: Envoy holds little of them and takes no more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpSocket,
    time,
};

use super::scene::{MIB, POLICY, Parts, Scene, block, connect, head, upstream_that};
use crate::support::{
    PATIENCE, eventually,
    http2::{Connection, END_STREAM, HELLO, SETTINGS, frame, headers},
};

/// What is taken of one body at most: most of it lies in the system's buffers, on either side of Envoy.
const MOST: usize = 32 * MIB;
/// Who takes nothing for so long takes nothing more.
const STALLED: Duration = Duration::from_millis(500);

/// Writes the same again and again until nobody takes it any more, and gives how much was taken.
async fn write_until_stalled(mut writer: impl AsyncWrite + Unpin, bytes: &[u8]) -> usize {
    let mut written = 0;
    while let Ok(Ok(count)) = time::timeout(STALLED, writer.write(&bytes[written % bytes.len()..])).await {
        written += count;
        assert!(written < MOST, "it takes it all");
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_upload_is_held_back_by_an_upstream_that_does_not_read() {
    const UPLOADS: usize = 16;
    let svc = upstream_that(async |connection: tokio::net::TcpStream| {
        // Never read.
        let _connection = connection;
        std::future::pending::<()>().await;
    })
    .await;
    let routes = format!(
        "- {{name: up, match: {{prefix: /up}}, cluster: svc, stream: upload, timeouts: {{idle: 2s}}, {POLICY}}}"
    );
    let clusters = format!("- {{name: svc, endpoints: [\"{svc}\"]}}");
    let scene = Scene::open(&Parts { routes, clusters, ..Parts::default() }).await;
    let chunk = [b"10000\r\n", &*vec![b'a'; 0x10000], b"\r\n"].concat();
    let taken = join_all((0..UPLOADS).map(async |_| {
        let (mut reader, mut writer) = connect(scene.gateway.port).await.into_split();
        writer.write_all(head("POST /up", "transfer-encoding: chunked\r\n").as_bytes()).await.unwrap();
        let taken = write_until_stalled(writer, &chunk).await;
        let mut answer = [0; 13];
        time::timeout(PATIENCE, reader.read_exact(&mut answer)).await.expect("an answer").unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408 ");
        taken
    }))
    .await;
    println!("taken of each upload: {} MiB", taken.iter().sum::<usize>() / UPLOADS / MIB);
    scene.is_unharmed(64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_held_back_by_a_client_that_does_not_read() {
    const OF_EACH: usize = 32;
    let stalled = Arc::<AtomicUsize>::default();
    let counted = stalled.clone();
    let svc = upstream_that(move |mut connection| {
        let counted = counted.clone();
        async move {
            let _ = connection.read(&mut [0; 4096]).await;
            let (mut reader, mut writer) = connection.into_split();
            writer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            write_until_stalled(&mut writer, &[b'a'; 0x10000]).await;
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = reader.read_to_end(&mut Vec::new()).await;
            counted.fetch_sub(1, Ordering::Relaxed);
        }
    })
    .await;
    let timeouts = "timeouts: {idle: 3s}";
    let routes =
        format!("- {{name: down, match: {{prefix: /down}}, cluster: svc, stream: download, {timeouts}, {POLICY}}}");
    let clusters = format!("- {{name: svc, endpoints: [\"{svc}\"]}}");
    let scene = Scene::open(&Parts { routes, clusters, ..Parts::default() }).await;
    let address = ([127, 0, 0, 1], scene.gateway.port).into();
    let over_http1 = join_all((0..OF_EACH).map(async |_| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut connection = socket.connect(address).await.unwrap();
        connection.write_all(head("GET /down", "").as_bytes()).await.unwrap();
        connection
    }))
    .await;
    // A connection of HTTP/2 whose streams have no window.
    let mut over_http2 = Connection::connect(scene.gateway.port).await;
    let no_window = [&[0, 4], &0_u32.to_be_bytes()[..]].concat();
    let asked = (0..OF_EACH).flat_map(|number| headers(END_STREAM, 2 * number as u32 + 1, &block("GET", "/down")));
    let asked: Vec<u8> = HELLO.iter().copied().chain(frame(SETTINGS, 0, 0, &no_window)).chain(asked).collect();
    over_http2.writer.write_all(&asked).await.unwrap();
    eventually("all are held back", || async { stalled.load(Ordering::Relaxed) == 2 * OF_EACH }).await;
    eventually("none is held any longer", || async { stalled.load(Ordering::Relaxed) == 0 }).await;
    drop((over_http1, over_http2));
    scene.is_unharmed(96).await;
}
