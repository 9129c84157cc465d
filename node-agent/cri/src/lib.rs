//! A container runtime, asked over CRI v1.
