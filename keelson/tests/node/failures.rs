//! Parts of the cluster that die, while pods run.

mod node;
mod servers;
mod undisturbed;
