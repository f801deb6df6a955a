//! `export`: writes repositories with every version of every document to a file.

use std::{
    fs::{self, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use platform::progress::Progress;
use tuf::Gun;

use super::{MoveError, configuration, file::Writer, gun};
use crate::store::Store;

/// How many repository names are read at a time.
const PAGE: u32 = 500;

/// The options of `export`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The configuration file of the server that holds the repositories.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The file to write; it appears only when it is complete.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Export every repository.
    #[arg(long, conflicts_with = "guns", required_unless_present = "guns")]
    all: bool,
    /// The repositories.
    #[arg(value_name = "GUN")]
    guns: Vec<String>,
}

/// Writes the file. The database is only read, each repository at one moment.
///
/// # Errors
/// When a repository does not exist, or the database or the file cannot be used.
pub fn run(options: &Options) -> Result<(), MoveError> {
    let config = configuration(&options.config)?;
    let store = Store::open_read_only(&config.storage)?;
    let mut part = options.out.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = write(options, &store, &part).and_then(|count| {
        fs::rename(&part, &options.out).map_err(|cause| failed(&options.out, cause))?;
        Ok(count)
    });
    if written.is_err() {
        // An incomplete file is useless. An error while removing it adds nothing to the one reported.
        let _ = fs::remove_file(&part);
    }
    platform::say!("{} repositories are in {}", written?, options.out.display());
    Ok(())
}

fn write(options: &Options, store: &Store, path: &Path) -> Result<u64, MoveError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|cause| failed(path, cause))?;
    let mut writer = Writer::begin(BufWriter::new(file)).map_err(|cause| failed(path, cause))?;
    let total = if options.all {
        store.count_guns()?.unsigned_abs()
    } else {
        options.guns.len() as u64
    };
    let mut progress = Progress::new("repositories exported", Some(total));
    let mut one = |gun: &Gun| {
        repository(store, gun, &mut writer, path)?;
        progress.step();
        Ok::<_, MoveError>(())
    };
    if options.all {
        let mut last = String::new();
        loop {
            let page = store.every_gun(&last, PAGE)?;
            for name in &page {
                one(&gun(name)?)?;
            }
            match page.into_iter().last() {
                Some(name) => last = name,
                None => break,
            }
        }
    } else {
        for name in &options.guns {
            one(&gun(name)?)?;
        }
    }
    let file = writer.end().map_err(|cause| failed(path, cause))?;
    let file = file
        .into_inner()
        .map_err(|cause| failed(path, cause.into_error()))?;
    file.sync_all().map_err(|cause| failed(path, cause))?;
    Ok(progress.done())
}

fn repository<W: Write>(
    store: &Store,
    gun: &Gun,
    writer: &mut Writer<W>,
    path: &Path,
) -> Result<(), MoveError> {
    // Both closures write, but the store never calls them at the same time.
    let writer = std::cell::RefCell::new(writer);
    store.each_document(
        gun,
        |count| match count {
            0 => Err(MoveError::Nothing(gun.clone())),
            count => {
                let announced = writer.borrow_mut().repository(gun, count as u64);
                announced.map_err(|cause| failed(path, cause))
            }
        },
        |stored| {
            let written = writer.borrow_mut().document(&stored);
            written.map_err(|cause| failed(path, cause))
        },
    )
}

fn failed(path: &Path, cause: std::io::Error) -> MoveError {
    MoveError::File {
        path: path.to_path_buf(),
        cause,
    }
}
