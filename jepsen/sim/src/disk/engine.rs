//! An open store of a mounted disk.

use std::sync::Arc;

use bytes::Bytes;
use keelson_store_core::engine::{Batch, Capture, Cursor, Engine, EngineError, Family, Read, Role};

use super::{
    Life,
    facts::{self, Facts},
};

/// An engine whose writes and syncs the ghost sees.
pub(super) struct MountedEngine {
    engine: Arc<dyn Engine>,
    role: Role,
    life: Arc<Life>,
}

impl MountedEngine {
    pub(super) fn new(engine: Arc<dyn Engine>, role: Role, life: Arc<Life>) -> Self {
        Self { engine, role, life }
    }
}

impl Read for MountedEngine {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.engine.get(family, key)
    }

    fn cursor(&self, family: Family) -> Box<dyn Cursor + '_> {
        self.engine.cursor(family)
    }
}

impl Engine for MountedEngine {
    fn view(&self) -> Arc<dyn Read> {
        self.engine.view()
    }

    fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.life.check()?;
        let changes = batch.writes.len();
        let (ghost, replica) = (&self.life.ghost, self.life.replica);
        match (facts::of(self.role, &batch), self.engine.write(batch)) {
            (Facts::Log(facts), Ok(())) => ghost.logged(replica, changes, facts),
            (Facts::State(facts), Ok(())) => ghost.applied(replica, changes, facts),
            (Facts::Log(facts), Err(error)) => {
                ghost.perhaps_logged(replica, facts);
                return Err(error);
            }
            (Facts::State(fact), Err(error)) => {
                ghost.perhaps_applied(replica, fact);
                return Err(error);
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.life.check()?;
        self.life.take_time();
        self.engine.sync()?;
        match self.role {
            Role::Log => self.life.ghost.synced(self.life.replica),
            Role::State => {}
        }
        Ok(())
    }

    fn capture(&self, name: &str) -> Result<Box<dyn Capture>, EngineError> {
        self.life.check()?;
        self.life.take_time();
        self.engine.capture(name)
    }

    fn size(&self) -> u64 {
        self.engine.size()
    }
}
