//! Measures what a decision of the gate costs: with everything in memory, and while a publisher changes the repositories.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::countersign::{Countersign, Gate};

use crate::{
    fault::{Fault, Result},
    http::{Connection, Target, post},
    load::{Client, Load, Plan, drive},
    processes,
    programs::Programs,
    report::{machine, mebibytes},
    repository::Repository,
    subject::{DatabaseServers, Special, Subject},
};

/// A request that a real API server sent to a webhook.
const REVIEW: &str = include_str!("../../fixtures/gates/mutate-pod-create.request.json");
/// The tags of each repository.
const TAGS: usize = 10;
/// The tag that is decided about.
const TAG: usize = 3;
/// How long the gate is left alone before its memory is read.
const IDLE: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Seconds that each load is measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Kept connections.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Repositories that are decided about.
    #[arg(long, default_value_t = 100)]
    repositories: usize,
    /// Write a page with the figures into this directory.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
}

/// A way to ask the gate.
#[derive(Debug, Clone, Copy)]
enum Question {
    /// `POST /verify`.
    Plain,
    /// `POST /admission/v1/mutate`, a Pod.
    Admission,
}

impl Question {
    /// The request about an image, as it is sent.
    fn about(self, image: &str) -> Result<Vec<u8>> {
        let (path, body) = match self {
            Self::Plain => ("/verify", json!({"images": [image]})),
            Self::Admission => {
                let recorded: Value = serde_json::from_str(REVIEW)?;
                let mut review = recorded["body"].clone();
                review["request"]["object"]["spec"]["containers"][0]["image"] = json!(image);
                ("/admission/v1/mutate", review)
            }
        };
        Ok(post(path, "application/json", body.to_string().as_bytes()))
    }
}

/// One who asks about each repository in turn.
struct Asker {
    connection: Connection,
    questions: Arc<Vec<Vec<u8>>>,
    next: usize,
    digest: String,
    question: Question,
}

impl Client for Asker {
    async fn step(&mut self) -> Result<Duration> {
        self.next = (self.next + 1) % self.questions.len();
        let question = self.questions.get(self.next);
        let question = question.ok_or_else(|| Fault::new("there is nothing to ask about"))?;
        let begun = Instant::now();
        let answer = self.connection.ask(question).await?;
        let took = begun.elapsed();
        let answer: Value = serde_json::from_slice(answer.ok()?)?;
        let allowed = match self.question {
            Question::Plain => {
                answer["allowed"] == json!(true)
                    && answer["verdicts"][0]["digest"].as_str() == Some(self.digest.as_str())
            }
            Question::Admission => {
                answer["response"]["allowed"] == json!(true) && answer["response"]["patch"].is_string()
            }
        };
        if allowed {
            Ok(took)
        } else {
            Err(Fault::new(format!("not what is signed: {answer}")))
        }
    }
}

/// What a load has come to.
struct Measured {
    name: &'static str,
    load: Load,
    cpu: Duration,
    publishes: u64,
}

impl Measured {
    fn row(&self) -> String {
        let latencies = &self.load.latencies;
        let count = latencies.len().max(1);
        let at = |part: f64| {
            let place = ((count as f64) * part) as usize;
            let latency = latencies.get(place.min(count - 1)).copied().unwrap_or_default();
            latency.as_secs_f64() * 1e3
        };
        let rate = latencies.len() as f64 / self.load.elapsed.as_secs_f64();
        let cpu = self.cpu.as_secs_f64() * 1e6 / count as f64;
        format!(
            "| {} | {rate:.0} | {:.2} | {:.2} | {:.2} | {cpu:.0} | {} | {} |",
            self.name,
            at(0.5),
            at(0.99),
            at(1.0),
            self.publishes,
            self.load.failures,
        )
    }
}

/// Measures the gate, and tells the figures; false if any answer was wrong.
///
/// # Errors
/// When something cannot be started.
pub fn run(options: &Options) -> Result<bool> {
    let setup = options.programs.setup()?;
    let mut servers = DatabaseServers::default();
    let mut subject = Subject::start_ours(tests::Engine::Sqlite, &setup, &mut servers, &Special::default())?;
    let publisher = subject.client();
    let repositories = (0..options.repositories.max(1))
        .map(|number| Repository::create(&publisher, &format!("bench.test/gate/{number}"), TAGS))
        .collect::<Result<Vec<Repository>>>()?;
    let server = subject.server()?;
    let countersign = Countersign::of(server, "gate").programs(&setup.programs);
    countersign.policy(
        "anchors: { first: { tofu: true, scope: \"bench.test/**\" } }\nrules: [ { match: \"bench.test/**\", anchor: first } ]",
    );
    let files = server.pki().daemon("gate", &[], &[]);
    let ca = server.pki().ca().display().to_string();
    let gate = countersign.gate(&files, &["--client-ca", &ca]);
    let target = Target::new(gate.port(), &server.pki().user("api-server"))?;
    thread::sleep(IDLE);
    let idle = processes::memory(gate.daemon.id());

    let names: Vec<String> = repositories
        .iter()
        .map(|repository| format!("{}:v{TAG}", repository.gun()))
        .collect();
    let asked = |question| ask(options, question, &target, &gate, &names);
    // Every repository is known before anything is counted.
    asked(Question::Plain)?;
    let mut measured = Vec::new();
    for (name, question) in [
        ("`/verify`", Question::Plain),
        ("`/admission/v1/mutate`", Question::Admission),
    ] {
        let (load, cpu) = asked(question)?;
        measured.push(Measured {
            name,
            load,
            cpu,
            publishes: 0,
        });
    }
    let (over, published) = (AtomicBool::new(false), AtomicU64::new(0));
    let (load, cpu) = thread::scope(|scope| {
        let publishing = scope.spawn(|| publish(&publisher, &repositories, &over, &published));
        let asked = asked(Question::Admission);
        over.store(true, Ordering::Relaxed);
        publishing
            .join()
            .map_err(|_| Fault::new("the publisher panicked"))??;
        asked
    })?;
    measured.push(Measured {
        name: "`/admission/v1/mutate`, while somebody publishes to all of them",
        load,
        cpu,
        publishes: published.into_inner(),
    });

    let mut page = format!(
        "# What a decision of the gate costs\n\nMade by `make bench BENCH_ARGS=gate`. {} kept connections over mutual TLS ask about {} repositories in turn; \
         gate, trust server and those who ask share the machine.\n\n| question | decisions/s | p50 ms | p99 ms | longest ms | CPU of the gate, \
         µs/decision | publishes meanwhile | wrong answers |\n|---|---|---|---|---|---|---|---|\n",
        options.connections,
        repositories.len(),
    );
    for measured in &measured {
        writeln!(page, "{}", measured.row())?;
        if let Some(reason) = &measured.load.first_failure {
            platform::complain!("the first wrong answer: {reason}");
        }
    }
    writeln!(
        page,
        "\nMemory of the gate: {} MiB after its start, {} MiB at most.",
        mebibytes(idle),
        mebibytes(processes::peak(gate.daemon.id())),
    )?;
    platform::say!("{page}");
    if let Some(directory) = &options.out {
        fs::create_dir_all(directory)?;
        let machine = machine::described(&servers, "countersign-bench gate")?;
        fs::write(directory.join("gate.md"), format!("{page}\n{machine}"))?;
    }
    Ok(measured.iter().all(|measured| measured.load.failures == 0))
}

/// Asks for a time; returns what came of it, and the CPU time that the gate used meanwhile.
fn ask(
    options: &Options,
    question: Question,
    target: &Target,
    gate: &Gate,
    names: &[String],
) -> Result<(Load, Duration)> {
    let questions = names.iter().map(|name| question.about(name));
    let questions = Arc::new(questions.collect::<Result<Vec<_>>>()?);
    let digest = format!(
        "sha256:{}",
        hex::encode(sha256(format!("the manifest of tag {TAG}").as_bytes()))
    );
    let plan = Plan {
        clients: options.connections.max(1),
        threads: 2,
        warm_up: Duration::from_secs_f64((options.seconds / 5.0).max(0.2)),
        measured: Duration::from_secs_f64(options.seconds),
    };
    let make = async |number: usize| {
        Ok(Asker {
            connection: target.connect().await?,
            // Not all about the same one at once.
            next: number * questions.len() / plan.clients,
            questions: Arc::clone(&questions),
            digest: digest.clone(),
            question,
        })
    };
    let (load, [before, after]) = drive(plan, make, || processes::cpu(&[gate.daemon.id()]))?;
    Ok((load, after.saturating_sub(before)))
}

/// Publishes a new version of each repository in turn.
fn publish(
    client: &tests::Client,
    repositories: &[Repository],
    over: &AtomicBool,
    published: &AtomicU64,
) -> Result<()> {
    for repository in repositories.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (version, targets) = repository.next();
        let answer = client.try_publish(repository.gun(), &[("targets", &targets)])?;
        if answer.status != 200 {
            return Err(Fault::new(format!(
                "publishing {}: {}",
                repository.gun(),
                answer.text()
            )));
        }
        repository.answered(version, targets);
        published.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
