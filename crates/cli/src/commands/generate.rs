//! `diffuser generate`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use diffuser::output::{AnimationFormat, AtomicFile, default_columns, encode_animation};
use diffuser::{
    Device, Error, Generated, Generator, Image, Profile, Progress, Result, Stepped, sha256,
};
use serde_json::{Value, json};

use super::{Layout, check_distinct, configure, latents, open_float, open_quantised};
use crate::args::GenerateArgs;
use crate::ui::{self, Bar, Ui, seconds};

/// Images where no number is given.
const DEFAULT_COUNT: usize = 16;

/// Most images that an animation shows, so that it stays small enough to be shown.
const MOST_ANIMATED: usize = 64;

/// Most frames of an animation.
const MOST_FRAMES: usize = 100;

/// Makes images.
pub fn run(arguments: &GenerateArgs, ui: &Ui) -> Result<()> {
    let begun = Instant::now();
    if arguments.animate.is_some() && arguments.device.device() != Device::Cpu {
        return Err(Error::setting(
            "--animate shows every step, but only the last leaves the accelerator: it needs --device cpu",
        ));
    }
    let outputs = Outputs::create(arguments)?;
    let path = arguments.model.as_deref();
    if arguments.float {
        let model = open_float(path)?;
        make(arguments, Generator::float(&model), outputs, begun, ui)
    } else {
        let model = open_quantised(path, arguments.sampling.execution, ui)?;
        make(arguments, Generator::new(&model), outputs, begun, ui)
    }
}

fn make(
    arguments: &GenerateArgs,
    generator: Generator<'_>,
    outputs: Outputs,
    begun: Instant,
    ui: &Ui,
) -> Result<()> {
    let profile = generator.profile();
    let latents = latents(arguments.latents.as_deref(), profile)?;
    let given = arguments.count;
    let generator = configure(
        generator,
        &arguments.sampling,
        latents.as_ref(),
        given,
        DEFAULT_COUNT,
    )?
    .device(arguments.device.device())
    .batch(arguments.device.batch);
    let layouts = layouts(profile, generator.image_count()?, arguments)?;
    let load_time = begun.elapsed();
    let watcher = Watcher {
        bar: ui.bar("generating"),
        frames: outputs.animation.is_some().then(Mutex::default),
        layout: layouts[1],
    };
    let made = generator.run_with(&watcher)?;
    let Watcher { bar, frames, .. } = watcher;
    drop(bar);
    let writing = Instant::now();
    let frames = frames.map(|f| f.into_inner().unwrap_or_else(PoisonError::into_inner));
    let written = outputs.write(arguments.sampling.first, &made.images, layouts, frames)?;
    let times = [load_time, writing.elapsed(), begun.elapsed()];
    ui.note(&format!(
        "{} images in {} ({} on {} threads): {}",
        made.images.len(),
        seconds(made.sampling_time),
        made.kernel,
        made.threads,
        arguments.output.display()
    ));
    if arguments.json {
        ui::print_json(&report(arguments, profile, &made, &written, times))?;
    }
    Ok(())
}

/// Output files, created before the work.
struct Outputs {
    grid: AtomicFile,
    each: Option<PathBuf>,
    animation: Option<(AtomicFile, AnimationFormat)>,
}

impl Outputs {
    fn create(arguments: &GenerateArgs) -> Result<Self> {
        check_distinct(&[Some(&arguments.output), arguments.animate.as_deref()])?;
        let animation = match &arguments.animate {
            Some(path) => {
                let format = AnimationFormat::of(path)?;
                Some((AtomicFile::create(path)?, format))
            }
            None => None,
        };
        let grid = AtomicFile::create(&arguments.output)?;
        if let Some(folder) = &arguments.each {
            if !folder.is_dir() {
                fs::create_dir(folder).map_err(|e| create_error(folder, e))?;
            }
            // Dropped at once: it only has to be possible.
            AtomicFile::create(&numbered(folder, 0))?;
        }
        Ok(Self {
            grid,
            each: arguments.each.clone(),
            animation,
        })
    }

    /// Writes everything and returns the paths.
    fn write(
        self,
        first: u64,
        images: &[Image],
        [grid, frame]: [Layout; 2],
        frames: Option<Vec<Image>>,
    ) -> Result<Vec<PathBuf>> {
        let sheet = grid.arrange(images);
        let mut written = vec![self.grid.path().to_path_buf()];
        if let (Some((file, format)), Some(mut frames)) = (self.animation, frames) {
            // It ends on what was made, not on the last prediction of it.
            frames.push(frame.arrange(images.iter().take(MOST_ANIMATED)));
            let bytes = encode_animation(&frames, format)?;
            written.push(file.path().to_path_buf());
            file.commit(&bytes)?;
        }
        if let Some(folder) = &self.each {
            for (k, image) in (first..).zip(images) {
                let path = numbered(folder, k);
                image.save_png(&path)?;
                written.push(path);
            }
        }
        self.grid.commit(&sheet.to_png())?;
        Ok(written)
    }
}

fn create_error(folder: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::NotFound => {
            let parent = folder.parent().unwrap_or(folder).display();
            Error::file(
                folder,
                format!("cannot be made: the folder {parent} does not exist"),
            )
        }
        _ => Error::io("create the folder", folder)(source),
    }
}

fn numbered(folder: &Path, index: u64) -> PathBuf {
    folder.join(format!("{index:05}.png"))
}

/// Layouts of the grid and of a frame. Frames are smaller, as each of them adds to the file.
fn layouts(profile: &Profile, count: usize, arguments: &GenerateArgs) -> Result<[Layout; 2]> {
    let columns = |n| arguments.columns.map_or(default_columns(n), |c| c as usize);
    let grid = Layout::new(profile, count, columns(count), arguments.scale)?;
    let shown = count.min(MOST_ANIMATED);
    let mut frame = Layout::new(profile, shown, columns(shown), arguments.scale)?;
    if arguments.scale.is_none() {
        frame.zoom = frame.zoom.div_ceil(2);
    }
    Ok([grid, frame])
}

/// Moves the bar and keeps frames.
struct Watcher {
    bar: Bar,
    /// `None` when nothing is animated.
    frames: Option<Mutex<Vec<Image>>>,
    layout: Layout,
}

impl Progress for Watcher {
    fn evaluated(&self, done: u64, total: u64) {
        self.bar.set(done, total);
    }

    fn stepped(&self, step: &Stepped<'_>) {
        let Some(frames) = &self.frames else { return };
        // Evenly, the last one included.
        let number = |i: usize| i * MOST_FRAMES.min(step.steps) / step.steps;
        if number(step.index + 1) > number(step.index) {
            let sheet = self.layout.arrange(&step.predicted(MOST_ANIMATED));
            frames
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(sheet);
        }
    }
}

fn report(
    arguments: &GenerateArgs,
    profile: &Profile,
    made: &Generated,
    written: &[PathBuf],
    [load, write, total]: [Duration; 3],
) -> Value {
    let evaluations = made.images.len() * made.timesteps.len();
    let images: Vec<_> = (arguments.sampling.first..)
        .zip(made.images.iter().zip(&made.classes))
        .map(|(index, (image, class))| {
            json!({
                "index": index,
                "class": class,
                "class_name": class.map(|c| profile.class_label(c)),
                "sha256": image.sha256(),
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "model": arguments.model.as_ref().map_or("embedded".into(), |p| p.display().to_string()),
        "scheduler": made.options.sampler,
        "steps": made.options.steps,
        "timesteps": made.timesteps,
        "eta": made.options.eta,
        "seed": arguments.sampling.seed,
        "kernel": made.kernel,
        "threads": made.threads,
        "cycles": made.cycles,
        "width": made.images[0].width(),
        "height": made.images[0].height(),
        "channels": made.images[0].channels(),
        "sha256": sha256(&made.images),
        "images": images,
        "outputs": written.iter().map(|p| p.display().to_string()).collect::<Vec<_>>(),
        "seconds": {
            "load": load.as_secs_f64(),
            "setup": made.setup_time.as_secs_f64(),
            "sampling": made.sampling_time.as_secs_f64(),
            "evaluation": made.sampling_time.as_secs_f64() / evaluations as f64,
            "write": write.as_secs_f64(),
            "total": total.as_secs_f64(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_bounded_and_end_with_the_last_step() {
        for steps in [1, 2, 99, 100, 101, 250, 1000] {
            let number = |i: usize| i * MOST_FRAMES.min(steps) / steps;
            let shown: Vec<_> = (0..steps).filter(|&i| number(i + 1) > number(i)).collect();
            assert_eq!(shown.len(), steps.min(MOST_FRAMES));
            assert_eq!(shown.last(), Some(&(steps - 1)));
        }
    }
}
