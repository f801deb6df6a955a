//! Keeps a number of clients busy for a time and tells what came of it.
//!
//! Each client asks again as soon as it has its answer. Clients are distributed to threads with a runtime each, so that
//! none of them waits for a lock of another.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{runtime, task::LocalSet};

use crate::fault::{Fault, Result};

/// After so many failures a client gives up.
const PATIENCE: u64 = 20;
/// While clients warm up (0), their answers are checked but not counted.
const MEASURES: u8 = 1;
const ENDS: u8 = 2;
/// Where answers take so long that a client has fewer than this many, measuring goes on,
const ANSWERS: u64 = 2;
/// in steps of this length,
const LONGER: Duration = Duration::from_millis(100);
/// up to this time.
const LONGEST: Duration = Duration::from_secs(15);

/// What control and clients tell each other.
#[derive(Default)]
struct Stage {
    phase: AtomicU8,
    answers: AtomicU64,
}

/// One of the clients.
pub trait Client: 'static {
    /// Asks once, checks the answer, and returns how long it took to come.
    fn step(&mut self) -> impl Future<Output = Result<Duration>>;

    /// Whether it has asked everything that it has to ask.
    fn is_done(&self) -> bool {
        false
    }
}

/// How many clients, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The number of clients.
    pub clients: usize,
    /// The number of threads that they share.
    pub threads: usize,
    /// How long they run before anything is counted.
    pub warm_up: Duration,
    /// How long is measured, or longer if hardly anything is answered in that time.
    pub measured: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// How long each of the requests took that were answered while it was measured, sorted.
    pub latencies: Vec<Duration>,
    /// How long was measured.
    pub elapsed: Duration,
    /// All requests, those of the warm-up included.
    pub all: u64,
    /// The requests that failed, or whose answer was wrong.
    pub failures: u64,
    /// The reason of the first of these.
    pub first_failure: Option<String>,
}

impl Load {
    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.all += other.all;
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

/// Runs the clients that `make` makes of their numbers; `probe` is called when measuring begins and when it ends.
///
/// # Errors
/// When a client cannot be made.
pub fn drive<C: Client, F, T>(
    plan: Plan,
    make: impl Fn(usize) -> F + Sync,
    mut probe: impl FnMut() -> T,
) -> Result<(Load, [T; 2])>
where
    F: Future<Output = Result<C>>,
{
    let control = |stage: &Stage| {
        thread::sleep(plan.warm_up);
        let before = probe();
        let begun = Instant::now();
        stage.phase.store(MEASURES, Ordering::Relaxed);
        thread::sleep(plan.measured);
        let enough = ANSWERS.saturating_mul(plan.clients as u64);
        while stage.answers.load(Ordering::Relaxed) < enough && begun.elapsed() < LONGEST {
            thread::sleep(LONGER);
        }
        stage.phase.store(ENDS, Ordering::Relaxed);
        let elapsed = begun.elapsed();
        (elapsed, [before, probe()])
    };
    let (mut load, (elapsed, probes)) = run(plan.clients, plan.threads, make, control)?;
    load.elapsed = elapsed;
    Ok((load, probes))
}

/// Runs clients until each has asked everything that it has to ask.
///
/// # Errors
/// When a client cannot be made.
pub fn finish<C: Client, F>(clients: usize, threads: usize, make: impl Fn(usize) -> F + Sync) -> Result<Load>
where
    F: Future<Output = Result<C>>,
{
    let begun = Instant::now();
    let control = |stage: &Stage| stage.phase.store(MEASURES, Ordering::Relaxed);
    let (mut load, ()) = run(clients, threads, make, control)?;
    load.elapsed = begun.elapsed();
    Ok(load)
}

/// Makes the clients, lets `control` lead them through the phases, and waits for their end.
fn run<C: Client, F, T>(
    clients: usize,
    threads: usize,
    make: impl Fn(usize) -> F + Sync,
    control: impl FnOnce(&Stage) -> T,
) -> Result<(Load, T)>
where
    F: Future<Output = Result<C>>,
{
    let threads = threads.clamp(1, clients.max(1));
    let stage = Arc::new(Stage::default());
    let ready = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let (make, ready, stage) = (&make, &ready, &stage);
        let started = (0..threads).map(|thread| {
            let numbers = (thread..clients).step_by(threads);
            scope.spawn(move || run_some(numbers, make, stage, ready))
        });
        let running: Vec<_> = started.collect();
        ready.wait();
        let controlled = control(stage);
        let mut load = Load::default();
        for thread in running {
            let some = thread.join().map_err(|_| Fault::new("a client panicked"))?;
            load.add(some?);
        }
        load.latencies.sort_unstable();
        Ok((load, controlled))
    })
}

fn run_some<C: Client, F>(
    numbers: impl Iterator<Item = usize>,
    make: &impl Fn(usize) -> F,
    stage: &Arc<Stage>,
    ready: &Barrier,
) -> Result<Load>
where
    F: Future<Output = Result<C>>,
{
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let made: Result<_> = runtime.map_err(Fault::from).and_then(|runtime| {
        let clients = runtime.block_on(async {
            let mut clients = Vec::new();
            for number in numbers {
                clients.push(make(number).await?);
            }
            Ok::<_, Fault>(clients)
        });
        Ok((runtime, clients?))
    });
    // Also when there are no clients, because the others wait.
    ready.wait();
    let (runtime, clients) = made?;
    let tasks = LocalSet::new();
    let running: Vec<_> = clients
        .into_iter()
        .map(|client| tasks.spawn_local(run_one(client, Arc::clone(stage))))
        .collect();
    runtime.block_on(tasks.run_until(async {
        let mut load = Load::default();
        for task in running {
            load.add(task.await?);
        }
        Ok(load)
    }))
}

async fn run_one(mut client: impl Client, stage: Arc<Stage>) -> Load {
    let mut load = Load::default();
    loop {
        let asked_in = stage.phase.load(Ordering::Relaxed);
        if asked_in == ENDS || load.failures >= PATIENCE || client.is_done() {
            return load;
        }
        let outcome = client.step().await;
        load.all += 1;
        match outcome {
            Ok(took) if stage.phase.load(Ordering::Relaxed) == MEASURES => {
                load.latencies.push(took);
                stage.answers.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(cause) => {
                load.failures += 1;
                load.first_failure.get_or_insert_with(|| cause.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whose every third answer is wrong.
    struct Careless(u32);

    impl Client for Careless {
        async fn step(&mut self) -> Result<Duration> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.0 += 1;
            if self.0.is_multiple_of(3) {
                return Err(Fault::new("wrong"));
            }
            Ok(Duration::from_millis(1))
        }
    }

    const PLAN: Plan = Plan {
        clients: 5,
        threads: 2,
        warm_up: Duration::from_millis(50),
        measured: Duration::from_millis(200),
    };

    #[test]
    fn failures_are_counted_but_are_no_answers() {
        let (load, probes) = drive(PLAN, async |_| Ok(Careless(0)), || ()).unwrap();
        assert_eq!(probes.len(), 2);
        assert_eq!(load.first_failure.as_deref(), Some("wrong"));
        // Each gives up after this many.
        assert!((1..=5 * PATIENCE).contains(&load.failures), "{}", load.failures);
        let right = load.all - load.failures;
        assert!(right > 0 && u64::try_from(load.latencies.len()).unwrap() <= right);
    }

    #[test]
    fn a_client_that_cannot_connect_ends_it() {
        let none = async |number| {
            if number == 3 {
                Err(Fault::new("no answer"))
            } else {
                Ok(Careless(0))
            }
        };
        let failed = drive(PLAN, none, || ()).err().map(|cause| cause.to_string());
        assert_eq!(failed.as_deref(), Some("no answer"));
    }
}
