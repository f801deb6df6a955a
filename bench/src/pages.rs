//! Measures how long the server takes for each web page, with many repositories.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    Engine,
    web::{Said, Web},
};

use crate::{
    fault::{Fault, Result},
    filling::Filled,
    http::Connection,
    programs::Programs,
    report::{machine, mebibytes},
    subject::{DatabaseServers, Special, Subject},
};

/// How many repositories of how many tags each.
const SIZES: [(usize, usize); 2] = [(10_000, 100), (100_000, 5)];
/// The same for a look.
const QUICK: [(usize, usize); 1] = [(200, 100)];
/// What every page has to stay below.
const LIMIT: Duration = Duration::from_millis(100);
/// How long the first reading of all repositories may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at how far it is.
const GLANCE: Duration = Duration::from_millis(100);
/// The registry has as many unsigned tags of each repository.
const UNSIGNED: usize = 1;

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Few repositories: for a look, not for figures to publish.
    #[arg(long)]
    quick: bool,
    /// How often each page is asked for.
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// Write a page with the figures into this directory.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
}

/// A page that is asked for: what it is called, its address, and what it has to show.
struct Asked {
    name: &'static str,
    address: String,
    shows: &'static str,
}

/// The pages, for a repository in the middle and the last one of a page of the list.
fn pages(gun: &str, late: &str) -> Vec<Asked> {
    let asked = |name, address: String, shows| Asked { name, address, shows };
    let of = |page: &str, more: &str| format!("/repository{page}?gun={gun}{more}");
    vec![
        asked("overview", "/".to_owned(), "Overview"),
        asked("repositories", "/repositories".to_owned(), "Next 50"),
        asked(
            "… far from the beginning",
            format!("/repositories?after={late}"),
            "First page",
        ),
        asked(
            "… by a part of their names",
            "/repositories?q=/0000".to_owned(),
            "bench.test/filled/000010",
        ),
        asked(
            "… of a namespace",
            "/repositories?ns=bench.test/filled".to_owned(),
            "bench.test/filled/000010",
        ),
        asked(
            "… last published first",
            "/repositories?sort=published".to_owned(),
            "last published first",
        ),
        asked(
            "… what ends first",
            "/repositories?sort=ends".to_owned(),
            "what ends first",
        ),
        asked(
            "… that end within 90 days",
            "/repositories?state=90".to_owned(),
            "Repositories",
        ),
        asked(
            "… that do not verify",
            "/repositories?state=bad".to_owned(),
            "Repositories",
        ),
        asked(
            "… with unsigned tags",
            "/repositories?state=unsigned".to_owned(),
            "The registry was asked",
        ),
        asked("tags of a repository", of("", ""), "signed tags"),
        asked("a tag", of("/tag", "&tag=v1"), "sha256:"),
        asked("signers", of("/signers", ""), "targets"),
        asked("root", of("/root", ""), "root"),
        asked("activity", of("/activity", ""), "Activity"),
        asked("documents", of("/documents", "&role=targets"), "targets"),
        asked("commands", of("/commands", ""), "countersign"),
        asked("expiry", "/expiry".to_owned(), "Expiry"),
        asked("expiry, of ten years", "/expiry?days=3650".to_owned(), "Expiry"),
        asked(
            "access",
            format!("/access?action=pull&gun={gun}"),
            "For administrators",
        ),
        asked("audit", "/audit".to_owned(), "Audit"),
        asked(
            "`/api/v0/repositories`, counted",
            "/api/v0/repositories?count=true".to_owned(),
            "namespaceType",
        ),
        asked(
            "`/api/v0/repositories/…`, one by namespace and name",
            format!("/api/v0/repositories/{}", gun.replacen("bench.test/", "", 1)),
            "namespaceType",
        ),
    ]
}

/// How long a page took.
struct Took {
    name: &'static str,
    bytes: usize,
    middle: Duration,
    longest: Duration,
}

/// Measures every page, and tells the figures; false if one takes too long.
///
/// # Errors
/// When something cannot be started, or a page does not show what it should.
pub fn run(options: &Options) -> Result<bool> {
    let setup = options.programs.setup()?;
    let mut servers = DatabaseServers::default();
    let mut page = format!(
        "# How long web pages take\n\nMade by `make bench BENCH_ARGS=pages`: each page {} times over one kept connection with mutual TLS, \
         by an administrator who may see everything, in milliseconds from the request to the last byte. Server, PostgreSQL, registry and \
         whoever asks share the machine.\n",
        options.times.max(1)
    );
    let mut fast_enough = true;
    let sizes: &[(usize, usize)] = if options.quick { &QUICK } else { &SIZES };
    for (repositories, tags) in sizes {
        let registry = Web::start(move |_| {
            let names: Vec<String> = (0..tags + UNSIGNED).map(|tag| format!("v{tag}")).collect();
            Said::ok(json!({"name": "x", "tags": names}).to_string().into_bytes())
        });
        let special = Special {
            settings: vec![
                (
                    "policy",
                    json!([{"effect": "allow", "principals": ["*"], "actions": ["*"]}]),
                ),
                (
                    "registry",
                    json!({"upstream": registry.url(""), "host": "bench.test"}),
                ),
            ],
            file: None,
        };
        let subject = Subject::start_ours(Engine::Postgres, &setup, &mut servers, &special)?;
        let mut filled = Filled::with_tags(*tags);
        filled.fill(&subject, *repositories)?;
        platform::say!("{repositories} repositories of {tags} tags are stored");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let measured = runtime.block_on(measure(&subject, &filled, options.times.max(1)))?;
        fast_enough &= measured.are_fast();
        write!(page, "{}", measured.described(*repositories, *tags)?)?;
    }
    platform::say!("{page}");
    if let Some(directory) = &options.out {
        fs::create_dir_all(directory)?;
        let machine = machine::described(&servers, "countersign-bench pages")?;
        fs::write(directory.join("pages.md"), format!("{page}\n{machine}"))?;
    }
    Ok(fast_enough)
}

/// The figures of one size.
struct Measured {
    first: Duration,
    memory: [u64; 2],
    pages: Vec<Took>,
}

impl Measured {
    fn are_fast(&self) -> bool {
        self.pages.iter().all(|took| took.middle < LIMIT)
    }

    fn described(&self, repositories: usize, tags: usize) -> Result<String> {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let mut text = format!(
            "\n## {repositories} repositories of {tags} tags\n\nReading all of them once, in the background: {:.1} s. \
             Memory of the server: {} MiB before, {} MiB after all pages.\n\n\
             | page | median ms | longest ms | kB |\n|---|---|---|---|\n",
            self.first.as_secs_f64(),
            mebibytes(self.memory[0]),
            mebibytes(self.memory[1]),
        );
        for took in &self.pages {
            writeln!(
                text,
                "| {} | {:.1} | {:.1} | {} |",
                took.name,
                milliseconds(took.middle),
                milliseconds(took.longest),
                took.bytes.div_ceil(1000),
            )?;
        }
        Ok(text)
    }
}

async fn measure(subject: &Subject, filled: &Filled, times: usize) -> Result<Measured> {
    let none = || Fault::new("there are no repositories");
    let gun = filled.last_but(100).ok_or_else(none)?.to_owned();
    let late = filled.last_but(60).ok_or_else(none)?.to_owned();
    let before = subject.memory()[0];
    let mut connection = subject.target()?.connect().await?;
    let began = Instant::now();
    while look(&mut connection, "/repositories")
        .await?
        .contains("The server is reading its repositories")
    {
        if began.elapsed() > PATIENCE {
            return Err(Fault::new(
                "the server does not come to the end of its repositories",
            ));
        }
        tokio::time::sleep(GLANCE).await;
    }
    let first = began.elapsed();
    let mut pages = Vec::new();
    for asked in self::pages(&gun, &late) {
        // The first is not counted: a reader's rights are asked for once.
        let shown = look(&mut connection, &asked.address).await?;
        if !shown.contains(asked.shows) {
            return Err(Fault::new(format!(
                "{} does not show {:?}",
                asked.address, asked.shows
            )));
        }
        let mut took = Vec::with_capacity(times);
        for _ in 0..times {
            let began = Instant::now();
            look(&mut connection, &asked.address).await?;
            took.push(began.elapsed());
        }
        took.sort_unstable();
        let measured = Took {
            name: asked.name,
            bytes: shown.len(),
            middle: took.get(times / 2).copied().unwrap_or_default(),
            longest: took.last().copied().unwrap_or_default(),
        };
        platform::say!(
            "{:<50} {:?}, {:?} at most",
            measured.name,
            measured.middle,
            measured.longest
        );
        pages.push(measured);
    }
    Ok(Measured {
        first,
        memory: [before, subject.memory()[0]],
        pages,
    })
}

/// What a browser gets; a program, where the address is for programs.
async fn look(connection: &mut Connection, address: &str) -> Result<String> {
    let accept = if address.starts_with("/api/") {
        "application/json"
    } else {
        "text/html"
    };
    let request = format!("GET {address} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    let answer = connection.ask(request.as_bytes()).await?;
    Ok(String::from_utf8_lossy(answer.ok()?).into_owned())
}
