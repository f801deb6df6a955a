//! How long each part takes: `cargo bench --package tuf --bench times`.

mod cases;

use criterion::{Criterion, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    for (name, prepare) in cases::CASES {
        let mut run = prepare();
        criterion.bench_function(name, |bencher| bencher.iter(&mut run));
    }
}

criterion_group!(times, all);
criterion_main!(times);
