//! The server as its clients meet it: on real sockets, friendly and hostile.

use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;

use super::*;
use crate::config::fixture;
use crate::hal::ManualClock;
use crate::spool::{Policy, Spool};

const DOOR: &str = r#"
[[sensor]]
name = "door"
use = "input"
pin = 22
to.level = "house.field1"
"#;

/// A deadline that only a defect reaches.
const SOON: Duration = Duration::from_secs(60);

/// A server with what it works with.
struct Stage {
    tracker: StatusHandle,
    observer: Observer,
    spool: Arc<Mutex<Spool>>,
    /// A permit for each event of serving, by whether it went well.
    good: Arc<Semaphore>,
    bad: Arc<Semaphore>,
    look: Arc<Notify>,
    tasks: JoinSet<()>,
}

impl Stage {
    fn set(map: &str) -> Self {
        let (good, bad) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let count = (Arc::clone(&good), Arc::clone(&bad));
        let tracker = StatusHandle::new(Arc::new(ManualClock::default()), false);
        let observer = tracker.beside(Arc::new(move |event| match event {
            Event::Served { error: None, .. } => count.0.add_permits(1),
            Event::Served { error: Some(_), .. } => count.1.add_permits(1),
            _ => {}
        }));
        let (spool, _) = Spool::in_memory([], Policy::default(), Default::default(), Box::new(|| {}));
        let spool = Arc::new(Mutex::new(spool));
        let stage = Self { tracker, observer, spool, good, bad, look: Arc::default(), tasks: JoinSet::new() };
        stage.map(map);
        stage
    }

    fn map(&self, map: &str) {
        let settings = fixture::settings(map);
        let mut registry = crate::config::registry::SensorRegistry::new();
        registry.update(&settings.sensors);
        (self.observer)(&Event::Map(&settings, &registry.ids()));
    }

    fn start(&mut self, socket: Option<PathBuf>) {
        let (tracker, spool, observer) = (self.tracker.clone(), Arc::clone(&self.spool), Arc::clone(&self.observer));
        let look = Arc::clone(&self.look);
        self.tasks.spawn(Server { socket, tracker, spool, observer, look }.run());
    }
}

/// A port that was free a moment ago, and that the kernel gives to no connection meanwhile.
fn free() -> SocketAddr {
    let ports = std::iter::repeat_with(|| fastrand::u16(20_000..30_000));
    let free = ports.take(1000).find_map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok());
    free.expect("one of them is free").local_addr().expect("it has one")
}

fn listening(address: SocketAddr) -> String {
    format!("{DOOR}[metrics]\nlisten = \"{address}\"\n")
}

async fn happened(what: &Semaphore) {
    timeout(SOON, what.acquire()).await.expect("in time").expect("never closed").forget();
}

/// Sends bytes and returns everything that comes back.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: &[u8]) -> String {
    let mut answer = Vec::new();
    let talk = async {
        // A server that has answered already may have closed.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    timeout(SOON, talk).await.expect("in time");
    String::from_utf8(answer).expect("text")
}

const STATUS: &[u8] = b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn pages_are_served_over_tcp_where_the_map_says_and_move_with_it() {
    let (first, second) = (free(), free());
    let mut stage = Stage::set(&listening(first));
    stage.start(None);
    happened(&stage.good).await;
    let answer = exchange(TcpStream::connect(first).await.expect("it listens"), STATUS).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"door\""), "{answer}");
    assert!(!answer.contains("sesame"), "{answer}");
    let answer = exchange(TcpStream::connect(first).await.expect("it listens"), b"GET /metrics HTTP/1.1\r\n\r\n").await;
    assert!(answer.contains("\ngatepost_sensor_up{sensor=\"door\",kind=\"input\"} 1\n"), "{answer}");

    stage.map(&listening(second));
    happened(&stage.good).await;
    assert!(TcpStream::connect(first).await.is_err(), "nothing listens there any more");
    let answer = exchange(TcpStream::connect(second).await.expect("it listens"), STATUS).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    stage.map(DOOR);
    let gone = async {
        while TcpStream::connect(second).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, gone).await.expect("it stops to listen");
}

#[tokio::test]
async fn busy_port_is_told_once_and_taken_when_it_is_free() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = busy.local_addr().expect("it has one");
    let mut network = Network::new(Stage::set(DOOR).observer);
    network.set(Some(address));
    for _ in 0..3 {
        // It waits for the next try.
        assert!(timeout(Duration::from_millis(50), network.next()).await.is_err());
        network.retry_at = None;
    }
    assert!(network.told && network.listener.is_none());
    drop(busy);
    let served = async { timeout(SOON, network.next()).await.expect("it listens now") };
    let client = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::join!(served, client);
}

#[tokio::test]
async fn hostile_clients_are_refused_and_hold_up_nobody() {
    let address = free();
    let mut stage = Stage::set(&listening(address));
    stage.start(None);
    happened(&stage.good).await;
    let connect = || async move { TcpStream::connect(address).await.expect("it listens") };
    // As many as want to: none of them says anything, or reads.
    let mut silent = Vec::new();
    for _ in 0..MOST * 3 {
        silent.push(connect().await);
    }
    let answer = exchange(connect().await, STATUS).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let long = [b"GET /status HTTP/1.1\r\nCookie: ".to_vec(), vec![b'x'; 3 * http::LARGEST]].concat();
    for (bytes, status) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "HTTP/1.1 400 "),
        (b"POST /status HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 405 "),
        (b"GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403 "),
        (b"GET /etc/passwd HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
        (&long, "HTTP/1.1 431 "),
    ] {
        let answer = exchange(connect().await, bytes).await;
        assert!(answer.starts_with(status), "{answer}");
    }
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..random.usize(0..300)).map(|_| random.u8(..)).collect();
        let answer = exchange(connect().await, &bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(stage.tasks.try_join_next().map(|ended| ended.is_ok()), None, "it goes on");
}

#[tokio::test]
async fn client_that_says_nothing_is_let_go() {
    let (mut ours, theirs) = tokio::io::duplex(64);
    let stage = Stage::set(DOOR);
    let server = Server {
        socket: None,
        tracker: stage.tracker.clone(),
        spool: Arc::clone(&stage.spool),
        observer: Arc::clone(&stage.observer),
        look: Arc::default(),
    };
    let began = Instant::now();
    let mut answer = Vec::new();
    tokio::join!(server.serve(theirs, Way::Loopback, Arc::default()), async {
        ours.write_all(b"GET /sta").await.expect("it listens");
        ours.read_to_end(&mut answer).await.expect("it ends");
    });
    assert!(began.elapsed() >= PATIENCE && answer.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn user_who_floods_the_socket_takes_nobodys_place_but_his_own() {
    let mut clients = Clients::default();
    let (done, never) = (Arc::new(Mutex::new(Vec::new())), std::future::pending::<()>);
    let others: Vec<_> = (0..20).map(|user| Whose::User(1000 + user)).collect();
    let has_asked = |clients: &mut Clients, whose: Whose| {
        clients.serve(whose, |asked| {
            asked.store(true, Ordering::Relaxed);
            never()
        });
    };
    for round in 0..1000 {
        clients.serve(Whose::User(1), |_| never());
        if round % 50 == 0 {
            let (done, other) = (Arc::clone(&done), others[round / 50]);
            clients.serve(other, |_| async move {
                // It takes its time.
                sleep(Duration::from_millis(20)).await;
                done.lock().expect("no panic").push(other);
            });
        }
        assert!(clients.count(Whose::User(1)) <= A_USER && clients.open.len() <= MOST);
        tokio::task::yield_now().await;
    }
    let all = async {
        while done.lock().expect("no panic").len() < others.len() {
            clients.reap().await;
        }
    };
    timeout(SOON, all).await.expect("each of the others is answered");

    // One that has asked is answered before one that has not.
    let mut clients = Clients::default();
    has_asked(&mut clients, Whose::Network);
    for _ in 0..OVER_TCP * 2 {
        clients.serve(Whose::Network, |_| never());
    }
    assert_eq!(clients.open.len(), OVER_TCP);
    assert!(clients.open[0].asked.load(Ordering::Relaxed), "it came first, and is there");
    // As many users as there are: whoever has most gives way.
    for user in 0..100 {
        clients.serve(Whose::User(user), |_| never());
    }
    assert_eq!((clients.open.len(), clients.count(Whose::User(99))), (MOST, 1));
    assert!(clients.count(Whose::Network) < OVER_TCP);
}

#[cfg(unix)]
mod on_a_socket {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::path::Path;

    use tokio::net::UnixStream;

    use super::*;

    async fn connected(path: &Path) -> UnixStream {
        let connect = async {
            loop {
                match UnixStream::connect(path).await {
                    Ok(stream) => return stream,
                    Err(_) => sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(SOON, connect).await.expect("it listens")
    }

    #[tokio::test]
    async fn socket_is_for_everybody_replaces_that_of_a_killed_daemon_and_goes_with_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gatepost.sock");
        // Dropped without being removed, as by a kill.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        let mut stage = Stage::set(DOOR);
        stage.start(Some(path.clone()));
        let answer = exchange(connected(&path).await, STATUS).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let there = std::fs::metadata(&path).expect("it is there");
        assert!(there.file_type().is_socket());
        assert_eq!(there.permissions().mode() & 0o777, 0o666);
        // Somebody empties the directory, and a map is taken.
        std::fs::remove_file(&path).expect("it was there");
        stage.map(DOOR);
        exchange(connected(&path).await, STATUS).await;
        stage.tasks.shutdown().await;
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing is left");
    }

    #[tokio::test]
    async fn socket_that_is_removed_or_replaced_is_there_again_when_somebody_has_looked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gatepost.sock");
        let mut stage = Stage::set(DOOR);
        stage.start(Some(path.clone()));
        exchange(connected(&path).await, STATUS).await;
        std::fs::remove_file(&path).expect("it was there");
        stage.look.notify_one();
        happened(&stage.good).await;
        exchange(connected(&path).await, STATUS).await;
        // Another socket of the same name is not ours.
        std::fs::remove_file(&path).expect("it was there");
        let other = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        stage.look.notify_one();
        happened(&stage.good).await;
        let answer = exchange(connected(&path).await, STATUS).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        drop(other);
        // Something that is not a socket is told once, and left alone.
        std::fs::remove_file(&path).expect("it was there");
        std::fs::write(&path, "mine").expect("a file");
        for _ in 0..3 {
            stage.look.notify_one();
            tokio::task::yield_now().await;
        }
        happened(&stage.bad).await;
        stage.tasks.shutdown().await;
        assert_eq!(stage.bad.available_permits(), 0, "told once");
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "mine");
    }

    #[tokio::test]
    async fn directory_that_cannot_be_had_is_told_and_the_network_is_served_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free();
        let mut stage = Stage::set(&listening(address));
        stage.start(Some(folder.path().join("nowhere/gatepost.sock")));
        happened(&stage.bad).await;
        happened(&stage.good).await;
        let answer = exchange(TcpStream::connect(address).await.expect("it listens"), STATUS).await;
        assert!(answer.contains("status and metrics are not available at "), "{answer}");
        let file = folder.path().join("gatepost.sock");
        std::fs::write(&file, "mine").expect("a file");
        assert!(Socket::open(&file).is_err(), "what is somebody's own is left alone");
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "mine");
    }
}
