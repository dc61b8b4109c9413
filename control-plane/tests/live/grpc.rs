//! gRPC calls of every kind through the filter during fifty edits. Messages pass as they are sent,
//! calls end as intended, and refusals are statuses.

use std::{
    collections::BTreeMap, convert::Infallible, net::SocketAddr, path::PathBuf, pin::Pin, process::Stdio, sync::Arc,
    time::Duration,
};

use http::{Method, Request, uri::PathAndQuery};
use hyper::body::{Body as _, Incoming};
use legation_testing::{ALICE_KEY, Connection, Http, PATIENCE, Unrest, Upstream, empty, root};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{CancellationHandle, Code, Response, Status, Streaming, client, server, transport::Channel};
use tonic_prost::ProstCodec;

/// Long enough for a call to reach the server, also on a busy machine.
const DEADLINE: Duration = Duration::from_millis(500);

/// All messages are texts (protobuf's `StringValue`).
fn codec() -> ProstCodec<String, String> {
    ProstCodec::default()
}

/// What the server and the test tell each other without the gateway.
struct Beside {
    /// Messages that the client has read.
    heard: Semaphore,
    /// Messages that the server has read.
    arrived: Semaphore,
    /// Calls that the server saw cancelled.
    given_up: Semaphore,
}

/// A call of a method, as the server sees it.
#[derive(Clone)]
struct Call {
    method: String,
    beside: Arc<Beside>,
}

type Answers = ReceiverStream<Result<String, Status>>;

impl server::StreamingService<String> for Call {
    type Response = String;
    type ResponseStream = Answers;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answers>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Streaming<String>>) -> Self::Future {
        let call = self.clone();
        Box::pin(async move {
            if call.method == "Wait" {
                if !request.metadata().contains_key("grpc-timeout") {
                    return Err(Status::failed_precondition("it has no deadline"));
                }
                let _given_up = GivenUp(call.beside);
                return std::future::pending().await;
            }
            let (answers, stream) = mpsc::channel(1);
            tokio::spawn(call.answer(request.into_inner(), answers));
            Ok(Response::new(ReceiverStream::new(stream)))
        })
    }
}

/// Counts a cancelled call when it is dropped.
struct GivenUp(Arc<Beside>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.given_up.add_permits(1);
    }
}

impl Call {
    async fn answer(self, mut messages: Streaming<String>, answers: mpsc::Sender<Result<String, Status>>) {
        // The client may have given the call up.
        let say = async |answer| drop(answers.send(answer).await);
        let Self { method, beside } = self;
        let mut all = Vec::new();
        loop {
            let message = match messages.message().await {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(_) => return beside.given_up.add_permits(1),
            };
            match method.as_str() {
                "Echo" => say(Ok(message)).await,
                "Fail" => {
                    say(Ok(message)).await;
                    return say(Err(Status::data_loss("half of it is gone"))).await;
                }
                "Count" | "CountHeard" => {
                    for number in 1..=message.parse::<u32>().unwrap() {
                        say(Ok(number.to_string())).await;
                        if method == "CountHeard" {
                            beside.heard.acquire().await.unwrap().forget();
                        }
                    }
                }
                _ => {
                    all.push(message);
                    beside.arrived.add_permits(1);
                }
            }
        }
        if method == "Join" {
            say(Ok(all.join("+"))).await;
        }
    }
}

async fn serve() -> (SocketAddr, Arc<Beside>) {
    let [heard, arrived, given_up] = std::array::from_fn(|_| Semaphore::new(0));
    let beside = Arc::new(Beside { heard, arrived, given_up });
    let told = beside.clone();
    let answer = move |request: Request<Incoming>| {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let call = Call { method, beside: beside.clone() };
        async move { Ok::<_, Infallible>(server::Grpc::new(codec()).streaming(call, request).await) }
    };
    (Upstream::start(Http::Two, answer).await.address, told)
}

/// A client with alice's key.
#[derive(Clone)]
struct Client(client::Grpc<Channel>);

fn path(method: &str) -> PathAndQuery {
    format!("/test.Talk/{method}").parse().unwrap()
}

fn request<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("x-api-key", ALICE_KEY.parse().unwrap());
    request
}

async fn timely<T>(answer: impl Future<Output = T>) -> T {
    timeout(PATIENCE, answer).await.expect("an answer")
}

impl Client {
    async fn connect(port: u16) -> Self {
        let channel = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect().await.unwrap();
        Self(client::Grpc::new(channel))
    }

    async fn unary(&mut self, path: PathAndQuery, request: tonic::Request<String>) -> Result<String, Status> {
        self.0.ready().await.unwrap();
        timely(self.0.unary(request, path, codec())).await.map(Response::into_inner)
    }

    async fn stream(
        &mut self,
        method: &str,
        request: tonic::Request<impl Stream<Item = String> + Send + 'static>,
    ) -> Streaming<String> {
        self.0.ready().await.unwrap();
        timely(self.0.streaming(request, path(method), codec())).await.unwrap().into_inner()
    }

    async fn a_unary_call_is_answered(&mut self) {
        assert_eq!(self.unary(path("Echo"), request("one".into())).await.unwrap(), "one");
    }

    async fn the_servers_messages_arrive_one_by_one(&mut self, beside: &Beside) {
        let mut numbers = self.stream("CountHeard", request(tokio_stream::once("3".to_owned()))).await;
        for number in ["1", "2", "3"] {
            assert_eq!(timely(numbers.message()).await.unwrap().unwrap(), number);
            beside.heard.add_permits(1);
        }
        assert_eq!(timely(numbers.message()).await.unwrap(), None);
    }

    async fn the_clients_messages_arrive_one_by_one(&mut self, beside: &Beside) {
        let (messages, stream) = mpsc::channel(1);
        let send = async {
            for message in ["a", "b", "c"] {
                messages.send(message.to_owned()).await.unwrap();
                timely(beside.arrived.acquire()).await.unwrap().forget();
            }
            drop(messages);
        };
        self.0.ready().await.unwrap();
        let call = self.0.client_streaming(request(ReceiverStream::new(stream)), path("Join"), codec());
        let (answer, ()) = tokio::join!(timely(call), send);
        assert_eq!(answer.unwrap().into_inner(), "a+b+c");
    }

    async fn an_error_comes_after_what_came_before(&mut self) {
        let mut answers = self.stream("Fail", request(tokio_stream::once("half".to_owned()))).await;
        assert_eq!(timely(answers.message()).await.unwrap().unwrap(), "half");
        let error = timely(answers.message()).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::DataLoss, "half of it is gone"));
    }

    async fn a_deadline_ends_the_call_at_both_ends(&mut self, beside: &Beside) {
        let mut late = request("late".to_owned());
        late.set_timeout(DEADLINE);
        let error = self.unary(path("Wait"), late).await.unwrap_err();
        // This is tonic's name for its own deadline.
        assert_eq!((error.code(), error.message()), (Code::Cancelled, "Timeout expired"));
        is_given_up(beside).await;
    }

    async fn a_call_that_is_cancelled_is_given_up_by_the_server(&mut self, beside: &Beside) {
        let mut talk = Talk::begin(self).await;
        talk.go_on().await;
        talk.cancel.cancel();
        is_given_up(beside).await;
    }

    async fn a_caller_over_a_limit_is_told(&mut self) {
        let scarce = PathAndQuery::from_static("/scarce/Echo");
        let error = self.unary(scarce, request("one".to_owned())).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error:?}");
    }
}

async fn is_given_up(beside: &Beside) {
    timely(beside.given_up.acquire()).await.unwrap().forget();
}

/// The status is in the head of the answer, and nothing follows.
async fn without_a_key_the_answer_is_a_status_alone(port: u16) {
    let request = Request::builder().method(Method::POST).uri("http://any/test.Talk/Echo");
    let request = request.header("content-type", "application/grpc").header("te", "trailers").body(empty()).unwrap();
    let answer = Connection::connect(Http::Two, port).await.ask(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["grpc-status"], "16", "{answer:?}");
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    assert!(answer.body().is_end_stream());
}

/// A call in which every message is answered before the next is sent.
struct Talk {
    there: mpsc::Sender<String>,
    back: Streaming<String>,
    cancel: CancellationHandle,
    said: usize,
}

impl Talk {
    async fn begin(client: &mut Client) -> Self {
        let (there, messages) = mpsc::channel(1);
        let mut request = request(ReceiverStream::new(messages));
        let cancel = request.cancellation_handle();
        let back = client.stream("Echo", request).await;
        Self { there, back, cancel, said: 0 }
    }

    async fn go_on(&mut self) {
        self.said += 1;
        self.there.send(self.said.to_string()).await.unwrap();
        assert_eq!(timely(self.back.message()).await.unwrap().unwrap(), self.said.to_string());
    }

    /// The client ends its side, and the server ends the call with OK.
    async fn end(mut self) {
        drop(self.there);
        assert_eq!(timely(self.back.message()).await.unwrap(), None);
    }
}

const ROUTES: &[(&str, &str)] = &[("/test.Talk", "stream: grpc")];

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_every_kind_pass_and_end_as_they_should() {
    let (svc, beside) = serve().await;
    let unrest = Unrest::start(ROUTES, Http::Two.protocol(), svc).await;
    let port = unrest.gateway.port;
    let mut client = Client::connect(port).await;
    let first = client.unary(PathAndQuery::from_static("/scarce/Echo"), request("one".to_owned())).await;
    assert_eq!(first.unwrap(), "one");
    unrest
        .during(async |mut edits| {
            let mut talk = Talk::begin(&mut client).await;
            edits
                .each(async || {
                    talk.go_on().await;
                    client.a_unary_call_is_answered().await;
                    client.the_servers_messages_arrive_one_by_one(&beside).await;
                    client.the_clients_messages_arrive_one_by_one(&beside).await;
                    client.an_error_comes_after_what_came_before().await;
                    client.a_deadline_ends_the_call_at_both_ends(&beside).await;
                    client.a_call_that_is_cancelled_is_given_up_by_the_server(&beside).await;
                    client.a_caller_over_a_limit_is_told().await;
                    without_a_key_the_answer_is_a_status_alone(port).await;
                })
                .await;
            println!("gRPC: {} rounds of calls of every kind, beside a call that lasted all the while", talk.said);
            talk.end().await;
        })
        .await;
}

/// gRPC's own library, in a process of its own. `make grpcio` fetches it; GRPC_PYTHON names
/// another.
struct Peer {
    _process: Child,
    say: ChildStdin,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

impl Peer {
    fn start(port: u16) -> Self {
        let python = std::env::var_os("GRPC_PYTHON").map_or(root().join("target/grpcio/bin/python"), PathBuf::from);
        let mut command = Command::new(&python);
        command.arg(root().join("control-plane/tests/grpc/peer.py")).args([
            "calls",
            &format!("127.0.0.1:{port}"),
            ALICE_KEY,
        ]);
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut process = process.unwrap_or_else(|error| panic!("{}: {error} (`make grpcio`)", python.display()));
        let say = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { _process: process, say, lines }
    }

    /// Makes a call of each kind. Returns the outcome of each.
    async fn round(&mut self) -> BTreeMap<String, String> {
        self.say.write_all(b"\n").await.unwrap();
        let line = timely(self.lines.next_line()).await.unwrap().expect("it goes on");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_grpcs_own_client_pass_too() {
    let (svc, beside) = serve().await;
    let unrest = Unrest::start(ROUTES, Http::Two.protocol(), svc).await;
    let mut peer = Peer::start(unrest.gateway.port);
    let mut client = Client::connect(unrest.gateway.port).await;
    let _ = client.unary(PathAndQuery::from_static("/scarce/Echo"), request("one".to_owned())).await.unwrap();
    let expected = [
        ("unary", "one"),
        ("server streaming", "1 2 3"),
        ("client streaming", "a+b+c"),
        ("bidirectional", "ping 1 ping 2 ping 3"),
        ("failing", "half DATA_LOSS half of it is gone"),
        ("deadline", "DEADLINE_EXCEEDED"),
        ("cancelled", "CANCELLED"),
        ("no key", "UNAUTHENTICATED"),
        ("over a limit", "RESOURCE_EXHAUSTED"),
    ];
    let expected = BTreeMap::from(expected.map(|(kind, outcome)| (kind.to_owned(), outcome.to_owned())));
    unrest
        .during(async |mut edits| {
            let mut rounds = 0;
            edits
                .each(async || {
                    assert_eq!(peer.round().await, expected);
                    // One call ran into its deadline, and one was cancelled.
                    is_given_up(&beside).await;
                    is_given_up(&beside).await;
                    rounds += 1;
                })
                .await;
            println!("gRPC's own client: {rounds} rounds");
        })
        .await;
}
