//! The node agent's own API, which API servers call: logs, exec, attach.
