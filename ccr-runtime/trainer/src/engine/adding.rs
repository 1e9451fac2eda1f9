//! In which precision rows meet, and how many of them before double precision takes over.
//!
//! **Why.** A sum of N rows, each within the clipping norm C, rounds with every addition: in single precision by up to
//! u = 2^-24 of what has come together so far. Whoever chooses weights and rows can have these roundings all lean one way,
//! and one row more or less, which puts every later row at another place of the sum, can have them lean the other way. With
//! 4,096 rows one after the other that moves the sum of 49,152 rows by 4 C: four times what noise is made for.
//!
//! **The bound.** In a block of K rows the i-th takes part in at most K − i + 1 additions, whatever tree they form, so that
//! the block is off by at most u·C·K(K+1)/2, in the Euclidean norm as in each number, since |Σ_k |S_k|| ≤ Σ_k k·C for the
//! sums S_k on the way. All blocks of N rows together are off by u·C·N(K+1)/2. Blocks meet in single precision too, one after
//! the other, but no more than J of them: the j-th comes to a sum that is then at most j·K·C, so that a group of J rounds by
//! u·C·K·J(J+1)/2 more and one that is not full by less than u·C·n(J+2)/2 with its n rows, all groups together by
//! u·C·N(J+2)/2 at most. What was computed with one row and what was computed without it are each off by all that, so that
//! the sum moves by C and at most u·C·N(K+J+3) more. K is the largest for which this is [`MOVED`]·C, from the number of rows
//! that the step really has: no declared count enters. Where K would be small, products are made in double precision
//! altogether, which costs less than small blocks. Groups of blocks, physical chunks, threads' shares and rooms meet in double
//! precision, u = 2^-53: a step of 10^8 rows rounds by 3·10^-4 C there.
//!
//! **Inside a row.** A row's gradient is a sum over its own positions or pixels. Where it is built, that sum is a number like
//! any other by the time its norm is taken: it rounds the row, not the others, and is clipped as it is. Where it is not
//! built (norms from Gram matrices) the row's positions meet those of other rows one by one, and may be 10^3 times larger
//! than what is left of them. There blocks are judged by what the positions really come to, s_j = c|g_t||a_t|: of K of them,
//! the largest first, whatever tree they form, u·Σ_j (K − j + 1) s_j is no more than a block of clipped rows may round by. Where
//! blocks would be small, and in convolutions, everything is added in double precision.

use tch::Kind;

/// The share of the clipping norm by which sums in single precision may move beside the row itself.
pub const MOVED: f64 = 1.0 / 128.0;
/// Half a unit in the last place of single precision.
const UNIT: f64 = 1.0 / (1u64 << 24) as f64;
/// Smaller blocks cost more than double precision.
const LEAST: i64 = 48;
/// Blocks that meet in single precision before double precision takes over.
pub const GROUP: usize = 8;

/// How rows are added up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adding {
    /// As it comes: where no noise follows.
    Anyhow,
    /// In single precision up to so many rows, then in double precision.
    Blocks(i64),
    /// In double precision.
    Double,
}

impl Adding {
    /// For a step of so many rows, in each of so many rooms at most.
    pub fn of(rows: usize, rooms: u32) -> Adding {
        let all = rows.max(1) as f64 * f64::from(rooms.max(1));
        match (MOVED / UNIT / all) as i64 - GROUP as i64 - 3 {
            block if block < LEAST => Adding::Double,
            block => Adding::Blocks(block),
        }
    }

    /// By how much the sum of so many clipped rows may round, which are one block or several.
    pub fn allowed(self, rows: i64, bound: f64) -> f64 {
        match self {
            Adding::Blocks(most) => UNIT * (most as f64 + 1.0) / 2.0 * bound * rows as f64,
            Adding::Anyhow | Adding::Double => 0.0,
        }
    }

    /// Whether tensors of this kind go over to double precision before they are added.
    pub fn doubles(self, kind: Kind) -> bool {
        self == Adding::Double && kind != Kind::Double
    }

    /// The blocks of so many rows, all of about one size: the first row of each, and how many.
    pub fn blocks(self, rows: i64, kind: Kind) -> impl Iterator<Item = (i64, i64)> {
        let most = match self {
            Adding::Blocks(most) if kind != Kind::Double => most.max(1),
            _ => rows.max(1),
        };
        let rows = rows.max(0);
        let count = (rows / most + i64::from(rows % most > 0)).max(1);
        let each = (rows / count + i64::from(rows % count > 0)).max(1);
        (0..rows).step_by(usize::try_from(each).unwrap_or(1)).map(move |first| (first, each.min(rows - first)))
    }
}

/// By how much a block of parts of these sizes rounds at most, in whatever order they are added up.
pub fn rounding(sizes: &mut [f64]) -> f64 {
    sizes.sort_unstable_by(|a, b| b.total_cmp(a));
    let additions = (1..=sizes.len()).rev().map(|additions| additions as f64);
    // What is beside: the sizes' own rounding.
    1.001 * UNIT * sizes.iter().zip(additions).map(|(size, additions)| size * additions).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_so_small_that_their_roundings_stay_within_the_share() {
        for (rows, rooms) in [(1, 1), (64, 1), (256, 1), (1_024, 1), (2_000, 1), (128, 16)] {
            let Adding::Blocks(most) = Adding::of(rows, rooms) else { panic!("{rows} rows in {rooms} rooms") };
            let moved = UNIT * rows as f64 * f64::from(rooms) * (most + GROUP as i64 + 3) as f64;
            assert!(moved <= MOVED && most >= LEAST, "{rows}: {moved}");
        }
        for (rows, rooms) in [(4_096, 1), (49_152, 1), (1_000_000_000, 1), (1_024, 16)] {
            assert_eq!(Adding::of(rows, rooms), Adding::Double);
        }
    }

    #[test]
    fn clipped_rows_may_round_by_what_a_block_of_them_does() {
        for rows in [64, 1_024, 2_000] {
            let adding = Adding::of(rows, 1);
            let Adding::Blocks(most) = adding else { panic!("{adding:?}") };
            let (mut block, allowed) = (vec![0.5; most as usize], adding.allowed(most, 0.5));
            assert!((rounding(&mut block) / allowed - 1.001).abs() < 1e-9);
            assert!(2.0 * adding.allowed(rows as i64, 1.0) <= MOVED);
        }
        assert!(rounding(&mut [1.0, 5.0]) > rounding(&mut [3.0, 3.0]), "the largest come first, wherever they stand");
        assert!(rounding(&mut [f64::NAN, 1.0]).is_nan() && rounding(&mut [f64::INFINITY]).is_infinite());
    }

    #[test]
    fn blocks_are_all_rows_once() {
        for rows in [0, 1, 127, 128, 129, 4_095] {
            let blocks: Vec<_> = Adding::Blocks(128).blocks(rows, Kind::Float).collect();
            assert_eq!(blocks.iter().map(|(_, n)| n).sum::<i64>(), rows);
            assert!(blocks.iter().all(|(_, n)| (1..=128).contains(n)));
            assert!(blocks.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
            assert_eq!(Adding::Blocks(128).blocks(rows, Kind::Double).count(), usize::from(rows > 0));
        }
    }
}
