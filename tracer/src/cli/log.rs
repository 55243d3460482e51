//! The programs' own log.

/// Logs go to stderr. `filter` says which, as RUST_LOG does; one that makes no sense means warnings. The Kubernetes
/// client warns at each try: it is heard only where it is named, since we tell of it ourselves, once.
pub fn start(filter: &str) {
    let quiet = if filter.contains("kube") { "" } else { ",kube_client=error,kube_runtime=error" };
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{filter}{quiet}"))
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(std::io::stderr)
        .init();
}
