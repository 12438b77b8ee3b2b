//! Which training time steps a sampler visits.

use super::SamplingError;
use super::config::Spacing;

/// `steps` time steps, strictly falling, as diffusers' `set_timesteps` has them.
///
/// `train` is the number of training time steps. DPM-Solver++ differs from the others in two ways:
/// it may start from fewer (`last <= train`), and of `leading` and `linspace` it makes one more and
/// leaves out the lowest (`multistep`).
///
/// # Errors
/// Where two time steps coincide, or one is not a training time step.
pub(super) fn timesteps(
    spacing: Spacing,
    train: u32,
    last: u32,
    steps: u32,
    offset: u32,
    multistep: bool,
) -> Result<Vec<u32>, SamplingError> {
    let skip = u32::from(multistep);
    let points = steps + skip;
    let rising: Vec<u64> = match spacing {
        Spacing::Leading => (skip..points)
            .map(|i| u64::from(i) * u64::from(last / points) + u64::from(offset))
            .collect(),
        Spacing::Linspace => {
            // numpy's linspace: the step is rounded once, the end is exact
            let end = f64::from(last.saturating_sub(1));
            let step = end / f64::from(points.max(2) - 1);
            let at = |i: u32| {
                if i > 0 && i == points - 1 {
                    end
                } else {
                    f64::from(i) * step
                }
            };
            (skip..points)
                .map(|i| at(i).round_ties_even() as u64)
                .collect()
        }
        Spacing::Trailing => {
            // numpy's arange: multiples of the difference of the first two. It is one longer where
            // the division rounds up (61 steps of 1000), and diffusers then visits time step -1
            let (start, step) = (f64::from(last), f64::from(train) / f64::from(steps));
            let delta = (start - step) - start;
            let count = (start / step).ceil() as u32;
            (0..count.min(steps))
                .rev()
                .map(|i| (start + f64::from(i) * delta).round_ties_even() as u64)
                .map(|t| t.saturating_sub(1))
                .collect()
        }
        Spacing::Quadratic => quadratic(last, steps),
    };
    let fits = last > 0
        && rising.windows(2).all(|pair| pair[0] < pair[1])
        && rising.last().is_some_and(|&t| t < u64::from(train));
    if !fits {
        return Err(SamplingError::Setting {
            what: "number of steps",
            value: steps.to_string(),
            expected: format!(
                "fewer: with {spacing} spacing and offset {offset} they would leave or repeat \
                 time steps among {last}"
            ),
        });
    }
    Ok(rising.into_iter().rev().map(|t| t as u32).collect())
}

/// `floor(c i^2)` with the last at `last - 1`, each at least one above the one before.
fn quadratic(last: u32, steps: u32) -> Vec<u64> {
    let end = u64::from(last.saturating_sub(1));
    let intervals = u64::from(steps.max(2) - 1);
    let mut next = 0;
    let rising = (0..u64::from(steps)).map(|i| {
        // 100,000^3 fits
        let t = (end * i * i / (intervals * intervals)).max(next);
        next = t + 1;
        t
    });
    let mut rising: Vec<u64> = rising.collect();
    if let [only] = rising.as_mut_slice() {
        *only = end; // a single step starts at the noise
    }
    rising
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadratic_is_denser_towards_zero_and_never_repeats() {
        let few = timesteps(Spacing::Quadratic, 1000, 1000, 5, 0, false).unwrap();
        assert_eq!(few, [999, 561, 249, 62, 0]);
        for steps in [1, 2, 30, 100, 500, 999, 1000] {
            let t = timesteps(Spacing::Quadratic, 1000, 1000, steps, 0, false).unwrap();
            assert_eq!(t.len(), steps as usize);
            assert_eq!(t[0], 999);
        }
    }

    #[test]
    fn every_number_of_steps_is_exact_or_refused() {
        for spacing in [Spacing::Leading, Spacing::Linspace, Spacing::Trailing] {
            for steps in 1..=1000 {
                let t = timesteps(spacing, 1000, 1000, steps, 0, false).unwrap();
                assert_eq!(t.len(), steps as usize, "{spacing:?}");
                // DPM-Solver++ needs one more than it visits
                if let Ok(t) = timesteps(spacing, 1000, 1000, steps, 0, true) {
                    assert_eq!(t.len(), steps as usize, "{spacing:?}");
                } else {
                    assert_eq!(steps, 1000, "{spacing:?}");
                }
            }
        }
    }

    #[test]
    fn offsets_beyond_the_schedule_are_refused() {
        let error = timesteps(Spacing::Leading, 10, 10, 10, 1, false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sampler: number of steps is 10, expected fewer: with leading spacing and offset 1 \
             they would leave or repeat time steps among 10"
        );
    }
}
