//! The Kubernetes API under test, as far as the agent asks it: lists and streams the pods that it is told of, over plain
//! HTTP on this machine's loopback. Knows nothing of the agent.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Answers until dropped.
#[derive(Debug)]
pub struct Api {
    folder: TempDir,
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    served: Mutex<Served>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Served {
    pods: Vec<Value>,
    /// Lines of the watch, in the order of their versions, from 2 on.
    log: Vec<String>,
    is_away: bool,
    is_over: bool,
    connections: Vec<TcpStream>,
}

impl Api {
    /// Starts it with these pods.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(pods: Vec<Value>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let folder = tempfile::Builder::new().prefix("kubernetes-").tempdir()?;
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        });
        std::fs::write(folder.path().join("config"), kubeconfig.to_string())?;
        let shared = Arc::new(Shared::default());
        shared.served().pods = pods;
        let server = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.serve(&listener)
        });
        Ok(Self { folder, address, shared, server: Some(server) })
    }

    /// For `--kubernetes`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// The same as text.
    ///
    /// # Errors
    /// When the path is no UTF-8.
    pub fn option(&self) -> Result<String> {
        let path = self.kubeconfig();
        Ok(Path::to_str(&path).context("a path of UTF-8")?.to_owned())
    }

    /// The pods of its next lists.
    pub fn has(&self, pods: Vec<Value>) {
        self.shared.served().pods = pods;
    }

    /// Tells watchers of a pod: `ADDED`, `MODIFIED` or `DELETED`.
    pub fn tells(&self, kind: &str, mut pod: Value) {
        let mut served = self.shared.served();
        let version = served.log.len() + 2;
        pod["metadata"]["resourceVersion"] = version.to_string().into();
        served.log.push(format!("{}\n", json!({"type": kind, "object": pod})));
        self.shared.more.notify_all();
    }

    /// Whether it refuses to answer from now on; what is being watched is cut off.
    pub fn is_away(&self, is_away: bool) {
        let mut served = self.shared.served();
        served.is_away = is_away;
        cut(&mut served);
        self.shared.more.notify_all();
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let mut served = self.shared.served();
        served.is_over = true;
        cut(&mut served);
        drop(served);
        self.shared.more.notify_all();
        // The server waits for a connection.
        let _refused = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            let _panicked = server.join();
        }
    }
}

/// A reader that has gone is no error.
fn cut(served: &mut Served) {
    for connection in served.connections.drain(..) {
        let _closed = connection.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().expect("nobody panics while holding it")
    }

    fn serve(&self, listener: &TcpListener) {
        std::thread::scope(|scope| {
            while let Ok((connection, _)) = listener.accept() {
                if self.served().is_over {
                    return;
                }
                // The client went away, or was cut off.
                scope.spawn(|| drop(self.answer(connection)));
            }
        });
    }

    fn answer(&self, mut connection: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(connection.try_clone()?).lines();
        let asked = lines.next().transpose()?.unwrap_or_default();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let mut served = self.served();
        if served.is_away {
            return connection.write_all(
                b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
        }
        if !asked.contains("watch=true") {
            let version = (served.log.len() + 1).to_string();
            let list = json!({
                "kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version},
                "items": served.pods,
            });
            drop(served);
            let list = list.to_string();
            let length = list.len();
            return write!(
                connection,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{list}"
            );
        }
        let (_, version) = asked.split_once("resourceVersion=").unwrap_or_default();
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        let mut told = digits.parse::<usize>().unwrap_or(1).saturating_sub(1);
        served.connections.push(connection.try_clone()?);
        drop(served);
        connection.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
        )?;
        loop {
            let mut served = self.served();
            while served.log.len() <= told && !served.is_over && !served.is_away {
                served = self.more.wait(served).expect("nobody panics while holding it");
            }
            if served.is_over || served.is_away {
                return Ok(());
            }
            let news: String = served.log[told..].concat();
            told = served.log.len();
            drop(served);
            connection.write_all(news.as_bytes())?;
        }
    }
}
