//! Which bin of a sketch a number belongs to.
//!
//! Promises: [`Keys::key`] answers what the library's mapping answers, and costs a look into two small tables instead of a logarithm
//! for what costs are made of (1e-9 to 2^64). Does not: take a number of 1e-9 or less, which has no bin.
//!
//! An octave is cut into 64 cells. A bin is 2 % wide and a cell at most 1.6 %, so a cell lies in one bin or in two neighbours: the
//! table of cells knows the bin where a cell begins, and the table of bounds where the next bin begins.

use std::sync::LazyLock;

use sketches_ddsketch::Config;

/// The first octave of the tables begins at 2^-30, the last ends at 2^64.
const FIRST_CELL: u64 = (1023 - 30) << 6;
const LAST_CELL: u64 = (1023 + 64) << 6;

/// The bins' keys, for every sketch the same.
pub static KEYS: LazyLock<Keys> = LazyLock::new(Keys::new);

/// The mapping from numbers to keys and back.
#[derive(Debug)]
pub struct Keys {
    config: Config,
    /// The key where each cell begins, counted from the first.
    cells: Vec<u16>,
    /// Where each bin begins, from the first cell's on.
    bounds: Vec<f64>,
    first: i32,
    /// The keys of the smallest and of the largest number that has one.
    pub range: (i32, i32),
}

impl Keys {
    fn new() -> Self {
        let config = Config::defaults();
        let begin = |cell: u64| f64::from_bits(cell << 46);
        let (first, last) = (config.key(begin(FIRST_CELL)), config.key(begin(LAST_CELL)));
        let cells = (FIRST_CELL..LAST_CELL).map(|cell| (config.key(begin(cell)) - first) as u16).collect();
        let range = (config.key(config.min_possible().next_up()), config.key(f64::MAX));
        let bounds = (first..=last + 1).map(|key| lower_bound(&config, key)).collect();
        Self { config, cells, bounds, first, range }
    }

    /// Whether a number is too small for a bin of its own and counts as zero.
    #[inline]
    pub fn is_zero(&self, x: f64) -> bool {
        x <= self.config.min_possible()
    }

    /// The key of a finite number that is not too small.
    #[inline]
    pub fn key(&self, x: f64) -> i32 {
        match self.cells.get(((x.to_bits() >> 46) as usize).wrapping_sub(FIRST_CELL as usize)) {
            Some(begin) => {
                let begin = usize::from(*begin);
                begin as i32 + self.first + i32::from(x >= self.bounds[begin + 1])
            }
            None => self.config.key(x),
        }
    }

    /// The number that stands for a bin.
    pub fn value(&self, key: i32) -> f64 {
        self.config.value(key)
    }
}

/// The smallest double of a bin.
fn lower_bound(config: &Config, key: i32) -> f64 {
    let mut bound = config.pow_gamma(key);
    while config.key(bound) >= key {
        bound = bound.next_down();
    }
    while config.key(bound) < key {
        bound = bound.next_up();
    }
    bound
}
