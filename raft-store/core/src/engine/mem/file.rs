//! One file of a folder: what programs read, and what a power cut would leave of it.
//!
//! A torn file keeps the first bytes of what was written last and, behind them, what was durable before.
//! That is milder than a real file system, which may also leave holes: whoever reads a copied file has to
//! check it as a whole either way.

/// Contents before and after the last sync.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// `None` while the file itself has never been synced.
    durable: Option<Vec<u8>>,
    current: Vec<u8>,
    is_dirty: bool,
}

impl File {
    /// A file that survives a crash as it is.
    pub(super) fn durable(contents: Vec<u8>) -> Self {
        Self { durable: Some(contents.clone()), current: contents, is_dirty: false }
    }

    /// What readers see.
    pub(super) fn contents(&self) -> &[u8] {
        &self.current
    }

    /// Writes over and past what is there; a gap is filled with zeros.
    pub(super) fn write(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        self.current[offset..end].copy_from_slice(data);
        self.is_dirty = true;
    }

    /// Makes what readers see durable.
    pub(super) fn sync(&mut self) {
        if self.is_dirty || self.durable.is_none() {
            self.durable = Some(self.current.clone());
            self.is_dirty = false;
        }
    }

    /// True when a crash would leave it as it is.
    pub(super) fn is_synced(&self) -> bool {
        !self.is_dirty && self.durable.is_some()
    }

    /// Bytes that a crash may lose.
    pub(super) fn at_risk(&self) -> usize {
        if self.is_synced() { 0 } else { self.current.len() }
    }

    /// Keeps the first `survivors` bytes of what was written. False when nothing at all is left of the file.
    pub(super) fn crash(&mut self, survivors: usize) -> bool {
        if self.is_synced() {
            return true;
        }
        if survivors < self.current.len() {
            self.current.truncate(survivors);
            let before = self.durable.as_deref().unwrap_or_default();
            self.current.extend_from_slice(before.get(survivors..).unwrap_or_default());
        }
        let is_left = self.durable.is_some() || survivors > 0;
        self.durable = Some(self.current.clone());
        self.is_dirty = false;
        is_left
    }

    /// Flips the lowest bit of the byte at `offset`, durably. False when the file ends before it.
    pub(super) fn damage(&mut self, offset: usize) -> bool {
        let Some(byte) = self.current.get_mut(offset) else { return false };
        *byte ^= 1;
        if let Some(byte) = self.durable.as_mut().and_then(|bytes| bytes.get_mut(offset)) {
            *byte ^= 1;
        }
        true
    }
}
