//! `diffuser predict`.

use diffuser::output::{AtomicFile, write_tensor};
use diffuser::{Question, Result};

use super::{classes, open_float, open_quantised, read_sample};
use crate::args::PredictArgs;
use crate::ui::Ui;

/// Evaluates the network once.
pub fn run(arguments: &PredictArgs, ui: &Ui) -> Result<()> {
    let output = AtomicFile::create(&arguments.output)?;
    let path = arguments.model.as_deref();
    let execution = arguments.execution;
    let read = |profile| -> Result<_> {
        let sample = read_sample(&arguments.sample, "sample", profile)?;
        Ok((sample, classes(profile, &arguments.class)?))
    };
    let ask = |(sample, classes): &(_, Vec<usize>), answer: &dyn Fn(&Question<'_>) -> Result<_>| {
        answer(&Question {
            sample,
            timestep: arguments.timestep,
            classes,
            threads: execution.threads(),
        })
    };
    let prediction = if arguments.float {
        let model = open_float(path)?;
        ask(&read(model.profile())?, &|q| model.predict(q))?
    } else {
        let model = open_quantised(path, execution, ui)?;
        ask(&read(model.profile())?, &|q| {
            model.predict(q, execution.kernel)
        })?
    };
    output.commit(&write_tensor("noise_pred", &prediction))
}
