//! Commands that never run inside a container. The runtime's init often only looks the file up, writes its error to
//! the runtime and exits: there may be no execve at all.

use anyhow::Result;

use crate::death::Exit::{self, Code};
use crate::{Act, Bundle, Death, Need, Stage};

const RUNC: &[Need] = &[Need::Root, Need::Tool("runc")];
const CRUN: &[Need] = &[Need::Root, Need::Tool("crun")];

// `runc run` and `crun run` end with 1 for whatever they could not start.
const NOT_STARTED: Exit = Code(1);

macro_rules! in_both {
    ($($runc:literal $crun:literal $cause:literal $scene:ident $words:literal $says:expr;)*) => {
        &[$(
            Death::new($runc, $cause, NOT_STARTED, |stage| $scene(stage, "runc")).needs(RUNC).says($says).words(&[$words]),
            Death::new($crun, $cause, NOT_STARTED, |stage| $scene(stage, "crun")).needs(CRUN).says($says).words(&[$words]),
        )*]
    };
}

pub const DEATHS: &[Death] = in_both! {
    "runc_path_missing" "crun_path_missing" "exec_not_found" path_missing "/opt/server" &["/opt/server"];
    "runc_not_in_path" "crun_not_in_path" "exec_not_found" not_in_path "not found" &["no-such-server"];
    "runc_loader_missing" "crun_loader_missing" "exec_interpreter_missing" loader_missing "o such file"
        &["/server", "/lib/ld-musl-nowhere.so.1"];
    "runc_shebang_crlf" "crun_shebang_crlf" "exec_interpreter_missing" shebang_crlf "o such file" &["/start.sh", "CRLF"];
    "runc_without_x_bit" "crun_without_x_bit" "exec_permission_denied" without_x_bit "ermission denied" &["/start.sh"];
    "runc_foreign_machine" "crun_foreign_machine" "exec_format_error" foreign_machine "ormat error" &["/server", "aarch64"];
};

fn path_missing(stage: &Stage, runtime: &'static str) -> Result<Act> {
    Bundle::new(stage, runtime, &["/opt/server"])?.act()
}

fn not_in_path(stage: &Stage, runtime: &'static str) -> Result<Act> {
    Bundle::new(stage, runtime, &["no-such-server"])?.act()
}

fn loader_missing(stage: &Stage, runtime: &'static str) -> Result<Act> {
    Bundle::new(stage, runtime, &["/server"])?.with_victim(stage, "loader_gone", "server")?.act()
}

fn shebang_crlf(stage: &Stage, runtime: &'static str) -> Result<Act> {
    let script = "#!/victim\r\n";
    Bundle::new(stage, runtime, &["/start.sh"])?.with_file("start.sh", script, 0o755)?.act()
}

fn without_x_bit(stage: &Stage, runtime: &'static str) -> Result<Act> {
    let script = "#!/victim exit\n";
    Bundle::new(stage, runtime, &["/start.sh"])?.with_file("start.sh", script, 0o644)?.act()
}

fn foreign_machine(stage: &Stage, runtime: &'static str) -> Result<Act> {
    Bundle::new(stage, runtime, &["/server"])?.with_victim(stage, "foreign", "server")?.act()
}
