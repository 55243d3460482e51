//! Where the API listens. Who may reach it is decided here: by the socket file's mode, and by the address.

use std::{
    fs,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A socket that accepts connections.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Unix { listener: UnixListener, _file: SocketFile },
    Tcp(TcpListener),
}

pub(super) enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Listener {
    /// A unix socket that only its owner may use (0600). Its folder is made (0755). What a dead agent left there
    /// is replaced.
    ///
    /// # Errors
    /// A living agent serves it, the file is no socket, or it cannot be made. Outside of a tokio runtime.
    pub fn unix(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot listen on {}", path.display());
        let folder = path.parent().unwrap_or(Path::new("."));
        if !folder.exists() {
            fs::create_dir_all(folder).with_context(cannot)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).with_context(cannot)?;
        }
        refuse_living(path)?;
        // Nobody can connect before the mode is set: it gets its name afterwards.
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        remove(&beside).with_context(cannot)?;
        let listener = UnixListener::bind(&beside).with_context(cannot)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).with_context(cannot)?;
        let inode = fs::metadata(&beside).with_context(cannot)?.ino();
        fs::rename(&beside, path).with_context(cannot)?;
        let file = SocketFile { path: path.to_owned(), inode };
        Ok(Self(Kind::Unix { listener, _file: file }))
    }

    /// A loopback address, for the data.
    ///
    /// # Errors
    /// The address is not loopback, or is taken.
    pub async fn loopback(address: SocketAddr) -> anyhow::Result<Self> {
        if !address.ip().is_loopback() {
            bail!(
                "the API shows arguments and output of programs: it listens on loopback, not on {address}; \
                 reach it from elsewhere by kubectl port-forward"
            );
        }
        Self::tcp(address).await
    }

    /// Any address, for metrics and probes. All addresses are those of IPv4 where the kernel has no IPv6.
    ///
    /// # Errors
    /// The address is taken or not of this machine.
    pub async fn tcp(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = match TcpListener::bind(address).await {
            Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && is_without_v6(&error) => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
            }
            other => other,
        };
        Ok(Self(Kind::Tcp(listener.with_context(|| format!("cannot listen on {address}"))?)))
    }

    /// Of a TCP socket: where it listens, for one that was bound to port 0.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Unix { .. } => None,
            Kind::Tcp(listener) => listener.local_addr().ok(),
        }
    }

    /// The next connection, and the address it comes from where it has one.
    pub(super) async fn accept(&self) -> io::Result<(Connection, Option<IpAddr>)> {
        match &self.0 {
            Kind::Unix { listener, .. } => Ok((Connection::Unix(listener.accept().await?.0), None)),
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Connection::Tcp(stream), Some(peer.ip())))
            }
        }
    }
}

fn is_without_v6(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].contains(&errno))
}

fn refuse_living(path: &Path) -> anyhow::Result<()> {
    let about = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        about => about.with_context(|| format!("cannot look at {}", path.display()))?,
    };
    if !about.file_type().is_socket() {
        bail!("{} is no socket: remove it, or name another --socket", path.display());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("cannot ask who serves {}", path.display()))
        }
        Ok(_) => {
            bail!("another agent serves {}: stop it, or name another --socket", path.display())
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removed when it is not listened on any more, unless a later agent has put its own there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|about| about.ino() == self.inode) {
            // What is left is replaced by the next agent.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("run/tracer.sock")
    }

    #[tokio::test]
    async fn only_its_owner_may_use_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket(&folder);
        let listener = Listener::unix(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o755));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_living_agent_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket(&folder);
        let first = Listener::unix(&path).unwrap();
        let error = Listener::unix(&path).unwrap_err().to_string();
        assert!(error.contains("another agent serves"), "{error}");
        drop(first);
        Listener::unix(&path).unwrap();
    }

    #[tokio::test]
    async fn what_a_dead_agent_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket(&folder);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listener = Listener::unix(&path).unwrap();
        UnixStream::connect(&path).await.unwrap();
        drop(listener);
    }

    #[tokio::test]
    async fn a_later_agents_socket_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket(&folder);
        let first = Listener::unix(&path).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        let _second = Listener::unix(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_socket_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "kept").unwrap();
        let error = Listener::unix(&path).unwrap_err().to_string();
        assert!(error.contains("is no socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    }

    #[tokio::test]
    async fn data_is_served_on_loopback_only() {
        let error = Listener::loopback("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("kubectl port-forward"), "{error}");
        let local = Listener::loopback("127.0.0.1:0".parse().unwrap()).await.unwrap();
        assert!(local.address().unwrap().ip().is_loopback());
    }

    #[tokio::test]
    async fn all_addresses_are_those_of_both_families() {
        let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let listener = Listener::tcp(all).await.unwrap();
        let port = listener.address().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        if listener.address().unwrap().is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.unwrap();
        }
    }
}
