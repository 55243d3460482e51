//! Ends by an exception that nothing caught: only words tell of it, and they acquit the failed calls beside it. It must
//! not know how words are read.

use anyhow::Result;

use crate::death::Exit::Code;
use crate::{Act, Death, Need, Stage};

const PYTHON: &[Need] = &[Need::Root, Need::Runtime("python3")];

pub const DEATHS: &[Death] = &[
    Death::new("exception_in_python", "uncaught_exception", Code(1), in_python)
        .says(&["KeyError: 'REALM'", "python", "main.py:2 in realm"])
        .proven()
        .needs(PYTHON),
    Death::new("exception_with_its_cause", "uncaught_exception", Code(1), with_its_cause)
        .says(&["RuntimeError: settings are wrong", "ValueError: invalid literal"])
        .proven()
        .needs(PYTHON),
    Death::new("exception_after_refused_cache", "uncaught_exception", Code(1), after_refused_cache)
        .says(&["KeyError: 'REALM'"])
        .proven()
        .needs(PYTHON),
    Death::new("exception_in_perl", "uncaught_exception", Code(255), in_perl)
        .says(&["no realm is configured", "perl"])
        .proven()
        .needs(&[Need::Root, Need::Tool("perl")]),
];

fn python(stage: &Stage, program: &str) -> Result<Act> {
    let path = stage.path("main.py");
    std::fs::write(&path, program)?;
    Ok(Act::new(["python3", "-I", "-S", &path]))
}

fn in_python(stage: &Stage) -> Result<Act> {
    python(stage, "def realm(settings):\n    return settings['REALM']\nrealm({})\n")
}

fn with_its_cause(stage: &Stage) -> Result<Act> {
    python(
        stage,
        "try:\n    int('eighty')\nexcept ValueError as error:\n    raise RuntimeError('settings are wrong') from error\n",
    )
}

// A cache that is not there, which the program does without; then it ends of something else at once.
fn after_refused_cache(stage: &Stage) -> Result<Act> {
    python(
        stage,
        "import socket, sys\ntry:\n    socket.create_connection(('127.0.0.1', 1))\nexcept OSError as error:\n    \
         print('cache at 127.0.0.1:1:', error, file=sys.stderr)\n{}['REALM']\n",
    )
}

fn in_perl(_: &Stage) -> Result<Act> {
    Ok(Act::new([
        "perl",
        "-e",
        "open(F, '<', '/no-such-cache'); $! = 0; die 'no realm is configured'",
    ]))
}
