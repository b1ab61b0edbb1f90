//! A series of numbers as one line of block characters, for a terminal.
//!
//! The lowest block stands for 0, or for the least value where one is negative; the highest for the greatest. So columns compare as bars do, and of
//! values that are all equal every bar is as high as another. A gap is a blank: nothing is known, which is not 0. Where there are more values than
//! columns, a column shows the greatest of its values: a peak is what one looks for, and a mean would hide it. It tells shapes, not numbers.

/// From the lowest to the highest.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Nothing is known.
const GAP: char = ' ';

/// At most `width` characters, one for each value, or for each of `width` runs of values of about the same length. What is no number is a gap; the
/// infinite reaches the edge, and the others are drawn as if it were not there.
pub fn sparkline(values: &[Option<f64>], width: usize) -> String {
    let columns = columns(values, width);
    let finite = || columns.iter().flatten().copied().filter(|value| value.is_finite());
    let lowest = finite().fold(0.0, f64::min);
    let highest = finite().fold(f64::NEG_INFINITY, f64::max);
    columns.iter().map(|value| value.map_or(GAP, |value| block(value, lowest, highest))).collect()
}

/// The greatest value of each run.
fn columns(values: &[Option<f64>], width: usize) -> Vec<Option<f64>> {
    let is_number = |value: &f64| !value.is_nan();
    if values.len() <= width {
        return values.iter().map(|value| value.filter(is_number)).collect();
    }
    let begin = |column: usize| {
        // In u128: a length times a width may be more than a machine's word.
        let at = values.len() as u128 * column as u128 / width.max(1) as u128;
        usize::try_from(at).unwrap_or(values.len())
    };
    (0..width)
        .map(|column| {
            let run = values.get(begin(column)..begin(column + 1)).unwrap_or_default();
            run.iter().copied().flatten().filter(is_number).reduce(f64::max)
        })
        .collect()
}

fn block(value: f64, lowest: f64, highest: f64) -> char {
    let [bottom, .., top] = BLOCKS;
    if value <= lowest {
        return bottom;
    }
    if value >= highest {
        return top;
    }
    // By halves: the difference of two numbers may be more than there is.
    let share = (value / 2.0 - lowest / 2.0) / (highest / 2.0 - lowest / 2.0);
    let steps = (BLOCKS.len() - 1) as f64;
    // A share is from 0 to 1; where it is none, halves of numbers that are nearly nothing, the bar is the lowest.
    BLOCKS.get((share * steps).round() as usize).copied().unwrap_or(bottom)
}
