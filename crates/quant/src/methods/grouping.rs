//! Neighbouring time steps that share a row: tables get smaller where step sizes hardly change.

/// The fewest groups of neighbouring rows in which rounding is at most so much noisier than with a row for
/// each, and the best ones of that number: the first row of each group.
///
/// `steps[tensor][row]` are step sizes. A group's step is the largest of its rows', and the noise of rounding
/// grows with the square of the step; `excess` bounds the mean relative growth over rows and tensors.
/// Dynamic programming over borders, exact.
#[must_use]
pub fn fewest_groups(steps: &[Vec<f64>], excess: f64) -> Vec<usize> {
    let rows = steps.first().map_or(0, Vec::len);
    let allowed = excess * (rows * steps.len()) as f64;
    (1..=rows)
        .map(|count| best_groups(steps, count))
        .find(|(growth, _)| *growth <= allowed)
        .map_or_else(|| (0..rows).collect(), |(_, starts)| starts)
}

/// The best division into so many groups (of rows, at least one and at most all): summed growth, and the first
/// row of each group.
///
/// # Panics
/// When there are fewer rows than groups, or no group.
#[must_use]
pub fn best_groups(steps: &[Vec<f64>], count: usize) -> (f64, Vec<usize>) {
    let rows = steps.first().map_or(0, Vec::len);
    assert!((1..=rows).contains(&count), "one to all rows in groups");
    let cost = growths(steps, rows);
    // best[row]: least growth of the rows before it in the groups so far
    let mut best: Vec<f64> = (0..=rows).map(|end| cost[0][end]).collect();
    let mut borders: Vec<Vec<usize>> = vec![];
    for _ in 1..count {
        let (next, from): (Vec<f64>, Vec<usize>) = (0..=rows)
            .map(|end| {
                let options = (1..end).map(|start| (best[start] + cost[start][end], start));
                options
                    .min_by(|a, b| a.0.total_cmp(&b.0))
                    .unwrap_or((f64::INFINITY, 0))
            })
            .unzip();
        best = next;
        borders.push(from);
    }
    let mut starts = vec![rows];
    for from in borders.iter().rev() {
        starts.push(from[starts[starts.len() - 1]]);
    }
    starts.push(0);
    starts.reverse();
    starts.pop();
    (best[rows], starts)
}

/// `growth[start][end]`: of the rows `start..end` in one group, summed over them and all tensors.
fn growths(steps: &[Vec<f64>], rows: usize) -> Vec<Vec<f64>> {
    let mut all = vec![vec![0.0; rows + 1]; rows];
    for tensor in steps {
        for (start, growth) in all.iter_mut().enumerate() {
            let (mut largest, mut sum) = (0f64, 0.0);
            for (n, &step) in tensor[start..].iter().enumerate() {
                largest = largest.max(step);
                sum += step.powi(-2);
                growth[start + n + 1] += sum * largest * largest - (n + 1) as f64;
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_where_steps_change() {
        let steps = [
            vec![1.0, 1.0, 1.0, 2.0, 2.0, 2.0],
            vec![3.0, 3.0, 3.0, 3.0, 3.0, 1.0],
        ];
        assert_eq!(best_groups(&steps, 3), (0.0, vec![0, 3, 5]));
        assert_eq!(fewest_groups(&steps, 0.0), [0, 3, 5]);
        // 3 (1 / 1)^2 becomes 3 (2 / 1)^2 for the first tensor if rows 0..5 are together; of the second's
        // last row 1 becomes 9 if it joins
        assert_eq!(best_groups(&steps, 2), (8.0, vec![0, 3]));
        assert_eq!(best_groups(&steps, 1), (17.0, vec![0]));
        assert_eq!(fewest_groups(&steps, 8.0 / 12.0), [0, 3]);
        assert_eq!(fewest_groups(&steps, 17.0 / 12.0), [0]);
    }

    /// Against all divisions.
    #[test]
    fn the_best_division_is_found() {
        let rows = 7;
        let steps: Vec<Vec<f64>> = (0..3)
            .map(|t| {
                (0..rows)
                    .map(|r| 1.0 + ((r * 5 + t * 3) % 7) as f64)
                    .collect()
            })
            .collect();
        let growth = |starts: &[usize]| -> f64 {
            let ends = starts[1..].iter().copied().chain([rows]);
            let groups: Vec<_> = starts.iter().copied().zip(ends).collect();
            let tensor = |t: &Vec<f64>| -> f64 {
                groups
                    .iter()
                    .map(|&(a, b)| {
                        let largest = t[a..b].iter().copied().fold(0.0, f64::max);
                        t[a..b]
                            .iter()
                            .map(|s| (largest / s).powi(2) - 1.0)
                            .sum::<f64>()
                    })
                    .sum()
            };
            steps.iter().map(tensor).sum()
        };
        for count in 1..=rows {
            let all = (0u32..1 << (rows - 1)).filter(|m| m.count_ones() as usize == count - 1);
            let least = all
                .map(|mask| {
                    let borders = (1..rows).filter(|r| mask >> (r - 1) & 1 == 1);
                    growth(&[0].into_iter().chain(borders).collect::<Vec<_>>())
                })
                .fold(f64::INFINITY, f64::min);
            let (found, starts) = best_groups(&steps, count);
            assert!(
                (found - least).abs() < 1e-9,
                "{count}: {found}, not {least}"
            );
            assert!((growth(&starts) - least).abs() < 1e-9 && starts.len() == count);
        }
    }

    #[test]
    fn without_operands_one_group_does() {
        assert!(fewest_groups(&[], 0.1).is_empty());
        assert_eq!(fewest_groups(&[vec![1.0; 4]], 0.0), [0]);
    }
}
