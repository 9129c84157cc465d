//! The node agent: registers a node, and makes the pods that are bound to it run.
