//! The MXTQ codebook: a Lloyd-Max quantizer for one coordinate of a uniform
//! unit vector in R^n, found on a grid. It depends on nothing but the width and
//! the code size, so bundles do not store it next to the weights; it must come
//! out equal to the last bit of an f32.

/// Points of the grid over [-1, 1].
const GRID: usize = 10_000;
const MAX_ROUNDS: usize = 200;

/// The `2^bits` centroids for vectors of width `n`, ascending.
///
/// The density of a coordinate is proportional to `(1 - x^2)^((n-3)/2)`; its
/// constant cancels when the density is normalised on the grid, so no gamma
/// function is needed. Sums run in f64; their order does not reach the f32.
/// (Except where the density is flat, `n <= 3`: there cell edges fall on grid
/// points. No matrix is that narrow.)
///
/// # Panics
/// If `bits` is 0 or above 16.
pub fn codebook(n: usize, bits: u32) -> Vec<f32> {
    assert!((1..=16).contains(&bits));
    let count = 1usize << bits;
    let grid = linspace(-1.0, 1.0, GRID);
    let mut density: Vec<f64> = if n <= 2 {
        vec![0.5; GRID]
    } else {
        let exponent = (n as f64 - 3.0) / 2.0;
        grid.iter()
            .map(|x| (exponent * (1.0 - x * x).max(1e-30).ln()).exp())
            .collect()
    };
    let total = integral(&grid, &density);
    density.iter_mut().for_each(|p| *p /= total);
    let moments: Vec<f64> = grid.iter().zip(&density).map(|(x, p)| x * p).collect();

    let support = 3.0 / (n.max(1) as f64).sqrt();
    let mut centroids = linspace(-support, support, count);
    for _ in 0..MAX_ROUNDS {
        let next = update(&centroids, &grid, &density, &moments);
        // The round that finds convergence is thrown away.
        if centroids
            .iter()
            .zip(&next)
            .all(|(old, new)| (old - new).abs() <= 1e-10 + 1e-5 * new.abs())
        {
            break;
        }
        centroids = next;
    }
    centroids.sort_by(f64::total_cmp);
    centroids.iter().map(|&c| c as f32).collect()
}

/// One round: each centroid moves to the mean of its cell.
fn update(centroids: &[f64], grid: &[f64], density: &[f64], moments: &[f64]) -> Vec<f64> {
    let last = centroids.len() - 1;
    let edge = |j: usize| match j {
        0 => -1.0,
        j if j > last => 1.0,
        j => (centroids[j - 1] + centroids[j]) / 2.0,
    };
    (0..=last)
        .map(|j| {
            let (low, high) = (edge(j), edge(j + 1));
            let start = grid.partition_point(|&g| g < low);
            let end = grid.partition_point(|&g| if j == last { g <= high } else { g < high });
            if end <= start + 1 {
                return centroids[j];
            }
            let cell = start..end;
            let mass = integral(&grid[cell.clone()], &density[cell.clone()]);
            let moment = integral(&grid[cell.clone()], &moments[cell]);
            moment / mass.max(1e-10)
        })
        .collect()
}

/// Trapezoid rule over the points given.
fn integral(x: &[f64], y: &[f64]) -> f64 {
    x.windows(2)
        .zip(y.windows(2))
        .map(|(x, y)| (x[1] - x[0]) * (y[1] + y[0]) / 2.0)
        .sum()
}

/// numpy's: `start + k * step`, the last point exact.
fn linspace(start: f64, stop: f64, count: usize) -> Vec<f64> {
    let step = (stop - start) / (count - 1) as f64;
    let mut points: Vec<f64> = (0..count).map(|k| k as f64 * step + start).collect();
    points[count - 1] = stop;
    points
}

/// The `2^bits - 1` midpoints between centroids, in f32 as the encoder uses
/// them.
pub fn boundaries(codebook: &[f32]) -> Vec<f32> {
    codebook
        .windows(2)
        .map(|pair| (pair[0] + pair[1]) / 2.0)
        .collect()
}
