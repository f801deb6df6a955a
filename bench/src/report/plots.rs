//! Plots in SVG.

use std::path::Path;

use plotters::{
    chart::{ChartBuilder, SeriesLabelPosition},
    coord::combinators::IntoLogRange,
    drawing::IntoDrawingArea,
    element::Rectangle,
    prelude::SVGBackend,
    style::{BLACK, Color, Palette, Palette99, WHITE},
};

use super::Results;
use crate::{
    fault::{Fault, Result},
    subject::Kind,
    workload::Workload,
};

const SIZE: (u32, u32) = (900, 460);
const FONT: &str = "sans-serif";

/// Why a plot could not be drawn.
fn undrawn(cause: impl std::fmt::Display) -> Fault {
    Fault::new(format!("a plot: {cause}"))
}

/// Bars of the rates of all workloads, in groups; returns title and file of each plot.
pub fn rates(directory: &Path, results: &Results) -> Result<Vec<(String, String)>> {
    type Belongs = fn(&Workload) -> bool;
    let groups: [(&str, &str, Belongs); 3] = [
        ("Reads per second", "reads.svg", |workload| workload.reads()),
        ("Publishes per second, and the mix", "publishes.svg", |workload| {
            matches!(workload, Workload::Publish(_) | Workload::Mixed)
        }),
        ("Calls of the signer per second", "signer.svg", |workload| {
            matches!(
                workload,
                Workload::Sign(_) | Workload::CreateKey(_) | Workload::CreateKeyAmong(_)
            )
        }),
    ];
    let mut drawn = Vec::new();
    for (title, file, belongs) in groups {
        let mut workloads: Vec<Workload> = Vec::new();
        for (workload, _) in &results.measured {
            if belongs(workload) && !workloads.contains(workload) {
                workloads.push(*workload);
            }
        }
        if !workloads.is_empty() {
            bars(&directory.join(file), title, &workloads, results)?;
            drawn.push((title.to_owned(), file.to_owned()));
        }
    }
    Ok(drawn)
}

fn bars(file: &Path, title: &str, workloads: &[Workload], results: &Results) -> Result<()> {
    let mut kinds: Vec<Kind> = results.idle.iter().map(|idle| idle.kind).collect();
    kinds.retain(|kind| {
        workloads
            .iter()
            .any(|workload| results.of(*workload, *kind).is_some())
    });
    let rates = workloads.iter().flat_map(|workload| {
        let of = kinds.iter().filter_map(|kind| results.of(*workload, *kind));
        of.map(|measurement| measurement.rate)
    });
    let (least, most) = rates.fold((f64::MAX, 1.0_f64), |(least, most), rate| {
        (least.min(rate), most.max(rate))
    });
    // Bars on a logarithmic axis have to begin somewhere.
    let bottom = 10_f64.powf(least.max(1.0).log10().floor() - 1.0);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(undrawn)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, (FONT, 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..workloads.len() as f64, (bottom..most * 20.0).log_scale())
        .map_err(undrawn)?;
    let name = |at: &f64| {
        // Labels stand at whole numbers, which are the left edges of the groups.
        let index = *at as usize;
        let whole = (at - index as f64).abs() < 1e-9;
        let workload = workloads.get(index).filter(|_| whole);
        workload.map_or(String::new(), Workload::to_string)
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(workloads.len() + 1)
        .x_label_formatter(&name)
        .x_label_offset(i32::try_from(SIZE.0)? / i32::try_from(workloads.len() * 2 + 1)?)
        .y_desc("per second")
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .label_style((FONT, 13))
        .draw()
        .map_err(undrawn)?;
    let width = 0.8 / kinds.len() as f64;
    for (number, kind) in kinds.iter().enumerate() {
        let colour = Palette99::pick(number).filled();
        let boxes = workloads.iter().enumerate().filter_map(|(group, workload)| {
            let rate = results.of(*workload, *kind)?.rate;
            let left = group as f64 + 0.1 + number as f64 * width;
            Some(Rectangle::new([(left, bottom), (left + width, rate)], colour))
        });
        chart
            .draw_series(boxes)
            .map_err(undrawn)?
            .label(kind.to_string())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK)
        .label_font((FONT, 13))
        .draw()
        .map_err(undrawn)?;
    area.present().map_err(undrawn)
}
