//! Who goes with the next request.
//!
//! Rows wait in four lines: fired alerts of priority 1, queued ones, then the same of everything else. The first lines go first,
//! and none starves: every request keeps a quarter of its seats for one line, each line in its turn.

/// The number of lines.
pub const LINES: usize = 4;

/// How many of each line get a seat, of `seats` in all, where so many wait; `turn` counts the requests.
pub fn seats(seats: usize, waiting: [usize; LINES], turn: usize) -> [usize; LINES] {
    let mut given = [0; LINES];
    let mut left = seats;
    let mut give = |line: usize, most: usize, left: &mut usize| {
        let share = (waiting[line] - given[line]).min(most).min(*left);
        given[line] += share;
        *left -= share;
    };
    // The line whose turn it is, or the next one after it in which somebody waits.
    let in_turn = (0..LINES).map(|step| (turn + step) % LINES).find(|&line| waiting[line] > 0);
    if let Some(line) = in_turn {
        give(line, seats.div_ceil(LINES), &mut left);
    }
    for line in 0..LINES {
        give(line, usize::MAX, &mut left);
    }
    given
}
