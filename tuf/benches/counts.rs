//! Runs one part a few times, for valgrind to count its instructions: see `scripts/instruction-counts.sh`. Without a name
//! it lists the parts.

#![allow(clippy::print_stdout)]

mod cases;

use std::process::ExitCode;

/// How often the part is run before it counts, so that what is set up at first use does not count.
const BEFORE: usize = 3;
/// How often it counts.
const COUNTED: usize = 10;

/// What valgrind counts.
#[inline(never)]
fn counted(run: &mut cases::Run) {
    for _ in 0..COUNTED {
        run();
    }
}

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
    let Some(wanted) = wanted else {
        for (name, _) in cases::CASES {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let Some((_, prepare)) = cases::CASES.iter().find(|(name, _)| *name == wanted) else {
        return ExitCode::FAILURE;
    };
    let mut run = prepare();
    for _ in 0..BEFORE {
        run();
    }
    counted(&mut run);
    ExitCode::SUCCESS
}
