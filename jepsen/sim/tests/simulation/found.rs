//! Seeds that have found something in the store, each with what it was. All of it is mended; they must pass for ever.
