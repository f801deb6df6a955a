//! One function for each thing that grows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use tests::{Engine, Stop, server::Prepared};

use super::{
    Axis, list,
    readings::{Point, Unit},
};
use crate::{
    clients::{Crawler, Fixed, Reader, Writer},
    fault::{Fault, Result},
    filling::{self, Filled},
    load::{Client, Load, drive, finish},
    processes,
    repository::Repository,
    subject::{DatabaseServers, Setup, Special, Subject},
    workload::{Amount, Prepared as Ready, Workload},
};

/// Readers that are not what grows.
const READERS: usize = 16;
/// How often a page is read for a figure.
const PAGES: usize = 21;
/// The repositories on a page.
const PAGE: usize = 100;
/// The most that the limit of connections from one address may be.
const CONNECTIONS: usize = 65_535;

/// On what to measure.
pub struct World<'a> {
    /// The database.
    pub engine: Engine,
    /// The programs.
    pub setup: &'a Setup,
    /// How long.
    pub amount: Amount,
}

impl World<'_> {
    fn start(&self, servers: &mut DatabaseServers, special: &Special) -> Result<Subject> {
        Subject::start_ours(self.engine, self.setup, servers, special)
    }

    fn rate(
        &self,
        point: &mut Point,
        name: &'static str,
        workload: Workload,
        subject: &Subject,
        servers: &DatabaseServers,
    ) -> Result<()> {
        let prepared = workload.prepare(subject)?;
        self.rate_of(point, name, &prepared, subject, servers)
    }

    fn rate_of(
        &self,
        point: &mut Point,
        name: &'static str,
        prepared: &Ready,
        subject: &Subject,
        servers: &DatabaseServers,
    ) -> Result<()> {
        point.rate(name, &prepared.run(subject, servers, self.amount)?)
    }

    fn drive<C: Client, F>(
        &self,
        point: &mut Point,
        name: &'static str,
        clients: usize,
        make: impl Fn(usize) -> F + Sync,
    ) -> Result<Load>
    where
        F: Future<Output = Result<C>>,
    {
        let (load, _) = drive(self.amount.plan(clients), make, || ())?;
        all_right(&load)?;
        point.read(
            name,
            Unit::Rate,
            load.latencies.len() as f64 / load.elapsed.as_secs_f64(),
        );
        Ok(load)
    }
}

fn all_right(load: &Load) -> Result<()> {
    match &load.first_failure {
        Some(reason) => Err(Fault::new(reason)),
        None => Ok(()),
    }
}

/// Measures one axis at these sizes.
///
/// # Errors
/// When something cannot be started, or any answer is wrong.
pub fn measure(
    axis: Axis,
    sizes: &[usize],
    world: &World,
    servers: &mut DatabaseServers,
) -> Result<Vec<Point>> {
    match axis {
        Axis::Guns => guns(sizes, world, servers),
        Axis::Tags => tags(sizes, world, servers),
        Axis::Versions => versions(sizes, world, servers),
        Axis::Connections => connections(sizes, world, servers),
        Axis::Denials => denials(sizes, world, servers),
        Axis::RevokedCertificates => revoked(sizes, world, servers),
    }
}

/// Starts the server anew and tells when it answers.
fn restart(subject: &mut Subject) -> Result<Duration> {
    let server = subject.server()?;
    server.stop_server(Stop::Politely);
    let begun = Instant::now();
    server.start_server();
    subject.greeting()?;
    Ok(begun.elapsed())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn guns(sizes: &[usize], world: &World, servers: &mut DatabaseServers) -> Result<Vec<Point>> {
    let mut subject = world.start(servers, &Special::default())?;
    let publish = Workload::Publish(10).prepare(&subject)?;
    let mut filled = Filled::default();
    let mut points = Vec::new();
    for size in sizes {
        let mut point = Point::at(*size);
        filled.fill(&subject, *size)?;
        point.read("start", Unit::Time, milliseconds(restart(&mut subject)?));
        point.memory("server, started", processes::memory(subject.processes().0));
        world.rate(
            &mut point,
            "one timestamp",
            Workload::Timestamp,
            &subject,
            servers,
        )?;
        world.rate_of(&mut point, "publish, 10 tags", &publish, &subject, servers)?;
        let last = URL_SAFE_NO_PAD.encode(filled.last_but(PAGE).unwrap_or_default());
        for (name, start) in [("first page", ""), ("last page", last.as_str())] {
            let path = format!("/api/v0/repositories?pageSize={PAGE}&pageStart={start}");
            point.read(name, Unit::Time, milliseconds(page(&subject, &path)?));
        }
        crawl(&mut point, &subject, &filled, world)?;
        points.push(point);
    }
    Ok(points)
}

/// The time in the middle of several that a page took.
fn page(subject: &Subject, path: &str) -> Result<Duration> {
    let client = subject.client();
    let mut times = Vec::new();
    for _ in 0..PAGES {
        let begun = Instant::now();
        let answer = client.try_request("GET", path, &[], &[])?;
        times.push(begun.elapsed());
        if answer.status != 200 {
            return Err(Fault::new(format!("{path}: {}", answer.text())));
        }
    }
    times.sort_unstable();
    Ok(times[PAGES / 2])
}

/// Reads the current documents of every repository once, and tells the rate and the memory that it took.
fn crawl(point: &mut Point, subject: &Subject, filled: &Filled, world: &World) -> Result<()> {
    let server = subject.processes().0;
    processes::forget_peak(server);
    let target = subject.target()?;
    let expected = filled.expected();
    let begun = Instant::now();
    let make = async |number| Crawler::new(target.clone(), Arc::clone(&expected), number, READERS).await;
    let load = finish(READERS, world.amount.threads, make)?;
    all_right(&load)?;
    point.read(
        "all in turn",
        Unit::Rate,
        load.all as f64 / begun.elapsed().as_secs_f64(),
    );
    point.memory("server, peak of reading all", processes::peak(server));
    Ok(())
}

fn tags(sizes: &[usize], world: &World, servers: &mut DatabaseServers) -> Result<Vec<Point>> {
    let subject = world.start(servers, &Special::default())?;
    let client = subject.client();
    let server = subject.processes().0;
    let mut points = Vec::new();
    for size in sizes {
        let mut point = Point::at(*size);
        let held =
            Repository::create(&client, &format!("bench.test/tags/{size}"), *size)?.read_back(&client)?;
        let target = subject.target()?;
        let fixed = Fixed::new(&held.targets.0, &held.targets.1);
        let make = async |_| Reader::new(target.clone(), fixed.clone()).await;
        world.drive(&mut point, "current targets", READERS, make)?;
        processes::forget_peak(server);
        world.rate(&mut point, "publish", Workload::Publish(*size), &subject, servers)?;
        point.memory("server, peak of publishing", processes::peak(server));
        points.push(point);
    }
    Ok(points)
}

fn versions(sizes: &[usize], world: &World, servers: &mut DatabaseServers) -> Result<Vec<Point>> {
    let subject = world.start(servers, &Special::default())?;
    let client = subject.client();
    let target = subject.target()?;
    let repository = Arc::new(Repository::create(&client, "bench.test/versions", 10)?);
    let mut points = Vec::new();
    for size in sizes {
        let until = i64::try_from(*size)?;
        let fill = async |_| Writer::until(target.clone(), Arc::clone(&repository), until).await;
        all_right(&finish(1, 1, fill)?)?;
        let held = repository.read_back(&client)?;
        // More than asked for, where the size before was passed while it was measured.
        let mut point = Point::at(usize::try_from(repository.acknowledged())?);
        for (name, (path, body)) in [
            ("current timestamp", &held.timestamp),
            ("current targets", &held.targets),
        ] {
            let fixed = Fixed::new(path, body);
            let make = async |_| Reader::new(target.clone(), fixed.clone()).await;
            world.drive(&mut point, name, READERS, make)?;
        }
        let make = async |_| Writer::new(target.clone(), Arc::clone(&repository)).await;
        world.drive(&mut point, "publish, 1 writer", 1, make)?;
        repository.read_back(&client)?;
        points.push(point);
    }
    Ok(points)
}

fn connections(sizes: &[usize], world: &World, servers: &mut DatabaseServers) -> Result<Vec<Point>> {
    let special = Special {
        settings: vec![("limits.connections_per_address", json!(CONNECTIONS))],
        file: None,
    };
    let mut subject = world.start(servers, &special)?;
    let mut points = Vec::new();
    for size in sizes {
        let mut point = Point::at(*size);
        restart(&mut subject)?;
        let server = subject.processes().0;
        let Some(held) = subject.reading() else { continue };
        let fixed = Fixed::new(&held.timestamp.0, &held.timestamp.1);
        let target = subject.target()?;
        let make = async |_| Reader::new(target.clone(), fixed.clone()).await;
        let load = world.drive(&mut point, "current timestamp", *size, make)?;
        let at = |percent: usize| {
            load.latencies
                .get((load.latencies.len() * percent / 100).saturating_sub(1))
        };
        for (name, percent) in [("p50", 50), ("p99", 99)] {
            point.read(
                name,
                Unit::Time,
                milliseconds(at(percent).copied().unwrap_or_default()),
            );
        }
        point.memory("server, peak", processes::peak(server));
        points.push(point);
    }
    Ok(points)
}

/// What a longer list may cost: every request, every handshake, the start, memory.
fn judge(point: &mut Point, subject: &mut Subject, world: &World, servers: &DatabaseServers) -> Result<()> {
    point.read("start", Unit::Time, milliseconds(restart(subject)?));
    world.rate(point, "`/v2/`", Workload::Greeting, subject, servers)?;
    world.rate(
        point,
        "new connection and a read",
        Workload::NewConnection,
        subject,
        servers,
    )?;
    point.memory("server", processes::memory(subject.processes().0));
    Ok(())
}

fn denials(sizes: &[usize], world: &World, servers: &mut DatabaseServers) -> Result<Vec<Point>> {
    let mut subject = world.start(servers, &Special::default())?;
    let mut points = Vec::new();
    for size in sizes {
        let mut point = Point::at(*size);
        filling::denials(&subject, *size)?;
        judge(&mut point, &mut subject, world, servers)?;
        points.push(point);
    }
    Ok(points)
}

fn revoked(sizes: &[usize], world: &World, servers: &mut DatabaseServers) -> Result<Vec<Point>> {
    let special = Special {
        settings: vec![("revocation.crl.files", json!([list::FILE]))],
        file: Some(|prepared: &Prepared| list::write(prepared.path(), prepared.pki(), 0)),
    };
    let mut subject = world.start(servers, &special)?;
    let mut points = Vec::new();
    for size in sizes {
        let mut point = Point::at(*size);
        let server = subject.server()?;
        list::write(server.path(), server.pki(), *size)?;
        judge(&mut point, &mut subject, world, servers)?;
        points.push(point);
    }
    Ok(points)
}
