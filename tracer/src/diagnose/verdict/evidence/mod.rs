//! What a timeline shows of a death: failed calls, which of them may matter, how blame is passed on, what was listening, who
//! asked for a stop. It must not name a cause of its own accord.

pub(super) mod answers;
pub(super) mod asker;
pub(super) mod attempts;
pub(super) mod blame;
pub(super) mod capability;
pub(super) mod errors;
pub(super) mod failure;
pub(super) mod lane;
pub(super) mod lookup;
pub(super) mod maker;
pub(super) mod pace;
pub(super) mod privilege;
pub(super) mod probes;
pub(super) mod programs;
pub(super) mod reaction;
pub(super) mod readiness;
pub(super) mod select;
pub(super) mod sender;
pub(super) mod undone;
