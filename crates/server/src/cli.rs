//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Watches websites, databases and servers; keeps their history; one binary.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where settings come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sources {
    /// Settings file; missing is an error only when it is named here [default: config/wise.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder with monitor files [default: monitors.folder of the settings]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) monitors: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch, and serve the API and the dashboard (the default)
    Serve,
    /// Say what is wrong with settings and monitor files, and where
    CheckConfig,
    /// Make one check now and print its trace
    Check {
        /// A web address, or a file of monitors
        #[arg(value_name = "URL|FILE")]
        target: String,
        /// Only the monitor of this name in the file
        #[arg(long)]
        name: Option<String>,
    },
    /// List the kinds of monitor
    Plugins,
    /// Print every monitor, secrets as references
    Export {
        /// toml, or json, which `POST /api/v1/import/monitors` takes too [default: toml]
        #[arg(long)]
        format: Option<String>,
    },
    /// Copy the whole store into one file; a server may run meanwhile
    Backup {
        /// The file to make; it must not be there yet
        file: PathBuf,
    },
    /// Put a backup back; the data folder must have no store
    Restore {
        /// A file that `backup` made
        file: PathBuf,
    },
    /// Read every file of the store and say which are damaged; a server may run meanwhile
    CheckStore,
    /// Move everything to another store; no server may run on either. Cut off, it goes on where it stopped
    Migrate {
        /// The store to read: sqlite://FOLDER or mongodb://… [default: storage.url of the settings]
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        /// The store to write, which must be empty
        #[arg(long, value_name = "URL")]
        to: String,
    },
    /// Print a document made from the code
    #[command(hide = true)]
    Generate {
        /// env-example, configuration, openapi or monitors
        what: String,
    },
}
