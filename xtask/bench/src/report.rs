//! The whole report.

use std::fmt;

use crate::{api, cluster::Program, figures::Table, machine, pods, proof};

/// All figures of a run.
pub(crate) struct Report {
    /// Names and versions.
    programs: Vec<(&'static str, String)>,
    /// Of three members of a store.
    pub(crate) store: Table,
    /// Of three API servers.
    pub(crate) api: Option<api::Figures>,
    /// Of a cluster with a node.
    pub(crate) pods: Option<pods::Figures>,
    /// Of checkers and simulation.
    pub(crate) proof: Option<proof::Figures>,
}

impl Report {
    pub(crate) fn new(programs: &[Program]) -> Self {
        let name = |program: &Program| (program.name, program.version.clone());
        let programs = programs.iter().map(name).collect();
        Self { programs, store: Table::default(), api: None, pods: None, proof: None }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        writeln!(f, "machine:  {}", machine::describe())?;
        writeln!(f, "command:  keelson-bench {}", arguments.join(" "))?;
        for (name, version) in &self.programs {
            writeln!(f, "version:  {name}: {version}")?;
        }
        if !self.store.is_empty() {
            let setting = "three members on this machine, mutual TLS, fsync on, values of 256 bytes, medians";
            write!(f, "\n{setting}\n\n{}", self.store)?;
        }
        if let Some(api) = &self.api {
            write!(f, "\nthree API servers on this machine, controllers and scheduler included\n\n{api}")?;
        }
        if let Some(pods) = &self.pods {
            write!(f, "\na node, beside the servers of `make up`\n\n{pods}")?;
        }
        if let Some(proof) = &self.proof {
            write!(f, "\nthe proof: the slowest history of each check, of 100,000 operations\n\n{proof}")?;
        }
        Ok(())
    }
}
