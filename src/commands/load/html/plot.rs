//! A plot as an SVG inside the page: lines over time, or over the share of all that took no longer. It names colours by
//! class, so that the page's style decides what they are in light and in dark.

use super::escaped;
use std::fmt::{self, Write as _};

/// Size of the whole, in the SVG's own units.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 230.0;
/// Where the lines are: left, right, top and bottom.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 548.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 202.0;
/// A line has at most so many points; of more, each stretch shows its highest.
const MAX_POINTS: usize = 500;
/// On a scale of powers of ten nothing is shown below this share of the largest.
const DECADES: f64 = 1e-5;
/// Shares are shown up to that of one in so many: 10 to this power.
const MOST_NINES: f64 = 5.0;

/// One line.
pub struct Series {
    /// What it shows.
    pub name: String,
    /// Which of the page's colours, from 0.
    pub hue: usize,
    /// What is beside the matter, or the load's own, is dashed.
    pub dashed: bool,
    /// Across and up.
    pub points: Vec<(f64, f64)>,
}

/// What lies across.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Across {
    /// Seconds; up from zero.
    Time,
    /// The share of all that took no longer, 0 to 1; up by powers of ten.
    Share,
}

/// See the head of this file.
pub struct Plot {
    /// What is seen.
    pub title: &'static str,
    /// In what it is counted, and what else is to be known.
    pub unit: &'static str,
    /// What lies across.
    pub across: Across,
    /// The lines.
    pub series: Vec<Series>,
}

impl Plot {
    /// The figure; nothing where no line has two points.
    pub fn write(mut self, out: &mut String) -> fmt::Result {
        self.series.retain(|series| series.points.len() > 1);
        if self.series.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "<figure><figcaption><b>{}</b> <span>{}</span></figcaption>",
            escaped(self.title),
            escaped(self.unit)
        )?;
        self.legend(out)?;
        let label = escaped(self.title);
        writeln!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">")?;
        let scale = Scale::of(&self);
        scale.grid(out)?;
        for series in &self.series {
            line(out, series, &scale)?;
        }
        writeln!(out, "</svg></figure>")
    }

    fn legend(&self, out: &mut String) -> fmt::Result {
        write!(out, "<p class=\"legend\">")?;
        for series in &self.series {
            let dashed = if series.dashed { " dashed" } else { "" };
            write!(out, "<span><i class=\"swatch{dashed} hue{}\"></i>{}</span>", series.hue, escaped(&series.name))?;
        }
        writeln!(out, "</p>")
    }
}

fn line(out: &mut String, series: &Series, scale: &Scale) -> fmt::Result {
    let dashed = if series.dashed { " dashed" } else { "" };
    write!(out, "<polyline class=\"line{dashed} hue{}\" points=\"", series.hue)?;
    for (x, y) in thinned(&series.points) {
        write!(out, "{:.1},{:.1} ", scale.x(x), scale.y(y))?;
    }
    writeln!(out, "\"><title>{}</title></polyline>", escaped(&series.name))
}

/// Each stretch of points by its highest.
fn thinned(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    points
        .chunks(points.len().div_ceil(MAX_POINTS).max(1))
        .filter_map(|stretch| stretch.iter().copied().max_by(|(_, one), (_, other)| one.total_cmp(other)))
}

/// Where values lie.
struct Scale {
    across: Across,
    /// The least and the most across, as they are drawn.
    x: (f64, f64),
    /// The least and the most up, as they are drawn.
    y: (f64, f64),
}

impl Scale {
    fn of(plot: &Plot) -> Self {
        let points = || plot.series.iter().flat_map(|series| series.points.iter().copied());
        let most = points().map(|(_, y)| y).fold(0.0, f64::max);
        let x = points().filter(|(x, _)| plot.across == Across::Time || *x < 1.0);
        let right = x.map(|(x, _)| drawn_across(plot.across, x)).fold(0.0, f64::max).max(1.0);
        let y = match plot.across {
            Across::Time => (0.0, top(most)),
            Across::Share => {
                let least = points().map(|(_, y)| y).filter(|y| *y > 0.0).fold(most.max(0.001), f64::min);
                let least = least.max(most * DECADES).max(0.001);
                (least.log10().floor(), most.max(least * 1.01).log10().ceil())
            }
        };
        Self { across: plot.across, x: (0.0, right), y }
    }

    fn x(&self, value: f64) -> f64 {
        let at = (drawn_across(self.across, value) - self.x.0) / (self.x.1 - self.x.0);
        LEFT + at.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        let drawn = if self.across == Across::Time { value } else { value.max(1e-9).log10() };
        let at = (drawn - self.y.0) / (self.y.1 - self.y.0).max(1e-9);
        BOTTOM - at.clamp(0.0, 1.0) * (BOTTOM - TOP)
    }

    fn grid(&self, out: &mut String) -> fmt::Result {
        for value in self.up() {
            let y = self.y(value);
            writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
            writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" class=\"end\">{}</text>", LEFT - 6.0, y + 3.5, short(value))?;
        }
        for (value, label) in self.along() {
            let x = self.x(value);
            writeln!(
                out,
                "<line class=\"tick\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{BOTTOM}\" y2=\"{:.1}\"/>",
                BOTTOM + 4.0
            )?;
            // At the edge a label in the middle of its tick would be cut off.
            let (x, place) = if x > RIGHT - 20.0 { (RIGHT, "end") } else { (x, "mid") };
            writeln!(out, "<text x=\"{x:.1}\" y=\"{:.1}\" class=\"{place}\">{label}</text>", BOTTOM + 17.0)?;
        }
        Ok(())
    }

    /// The values that have a line across.
    fn up(&self) -> Vec<f64> {
        match self.across {
            Across::Time => (0..=4).map(|part| self.y.1 * f64::from(part) / 4.0).collect(),
            Across::Share => (self.y.0 as i32..=self.y.1 as i32).map(|power| 10f64.powi(power)).collect(),
        }
    }

    fn along(&self) -> Vec<(f64, String)> {
        match self.across {
            Across::Time => {
                let step = top(self.x.1 / 6.0);
                let steps = (self.x.1 / step) as u32;
                (0..=steps).map(|n| (step * f64::from(n), format!("{} s", short(step * f64::from(n))))).collect()
            }
            Across::Share => {
                let named =
                    [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];
                let seen = named.into_iter().filter(|(share, _)| drawn_across(self.across, *share) <= self.x.1);
                seen.map(|(share, label)| (share, label.to_owned())).collect()
            }
        }
    }
}

/// A share by its nines: 0.9, 0.99 and 0.999 lie equally far apart.
fn drawn_across(across: Across, value: f64) -> f64 {
    match across {
        Across::Time => value,
        Across::Share => (-(1.0 - value).max(0.0).log10()).clamp(0.0, MOST_NINES),
    }
}

/// The next of 1, 2, 4, 5 and 8 times a power of ten: their quarters are short.
fn top(most: f64) -> f64 {
    let power = 10f64.powf(most.max(1e-6).log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0];
    steps.iter().map(|step| step * power).find(|top| *top >= most * 0.999).unwrap_or(10.0 * power)
}

/// As few digits as tell it.
fn short(value: f64) -> String {
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(across: Across, points: Vec<(f64, f64)>) -> String {
        let mut out = String::new();
        let series = vec![Series { name: "<b>".to_owned(), hue: 1, dashed: false, points }];
        Plot { title: "t", unit: "ms", across, series }.write(&mut out).unwrap();
        out
    }

    #[test]
    fn a_plot_is_one_figure_whose_names_are_escaped() {
        let out = plot(Across::Time, vec![(0.0, 1.0), (10.0, 90.0)]);
        assert!(out.contains("&lt;b&gt;") && !out.contains("<b>&lt;b"), "{out}");
        assert!(out.contains("points=\"52.0,") && out.contains(">100<") && out.contains(">10 s<"), "{out}");
        assert_eq!(plot(Across::Time, vec![(0.0, 1.0)]), "", "a point is no line");
    }

    #[test]
    fn nines_lie_equally_far_apart_and_all_is_at_the_right_edge() {
        let out = plot(Across::Share, vec![(0.0, 0.1), (0.9, 1.0), (0.99, 10.0), (1.0, 100.0)]);
        for seen in ["52.0,202.0", "300.0,138.0", "548.0,74.0", "548.0,10.0", ">99 %<"] {
            assert!(out.contains(seen), "{seen}: {out}");
        }
    }

    #[test]
    fn a_line_of_very_many_points_keeps_its_peaks() {
        let points: Vec<_> = (0..10_000).map(|n| (f64::from(n), if n == 7_777 { 9.0 } else { 1.0 })).collect();
        let thin: Vec<_> = thinned(&points).collect();
        assert_eq!((thin.len(), thin.iter().filter(|(_, y)| *y > 5.0).count()), (500, 1));
    }

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!([top(0.0), top(3.1), top(97.0), top(100.0), top(101.0)].map(short), ["0", "4", "100", "100", "200"]);
        assert_eq!([0.25, 2.0, 1_000.0].map(short), ["0.25", "2", "1000"]);
    }
}
