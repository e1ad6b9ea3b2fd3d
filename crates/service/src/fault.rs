//! The kinds of refusal, free of any transport.

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was named is not there, or not for the caller to know of.
    NotFound,
    /// The request cannot be carried out as it is.
    BadRequest,
    /// It clashes with what is going on.
    Conflict,
    /// The caller may see it but not do it.
    Forbidden,
    /// Who is calling is not known.
    Unauthorized,
    /// More than the project may have.
    OverQuota,
    /// Cannot be done now; later it may.
    Unavailable,
    /// The disk is full.
    NoSpace,
    /// Our own mistake: the chain goes to the log, the client gets the request id.
    Internal,
}
