//! Images of a stored quantised model, by their hash: the same for ever, on every machine.

use diffuser::{Generator, KernelChoice, Model, Sampler, sha256};

/// 8 x 8 pixels, four classes, random weights; made once by `diffuser quantize`.
static TINY: &[u8] = include_bytes!("golden/tiny.safetensors");

/// A change of any of these changes every image that anyone has made from a seed.
const EXPECTED: [(Sampler, f64, &str); 4] = [
    (
        Sampler::Ddim,
        0.0,
        "7e4bca139daa8543b931a5538b2b2e3dfdb57e3fcde12a6d9c2bdc890b272bc0",
    ),
    (
        Sampler::Ddim,
        1.0,
        "726625f05ddf01083dcd762302fa40ddfd800d84ced1ef11c611742aff2f9587",
    ),
    (
        Sampler::Ddpm,
        0.0,
        "963d44b47e809913349e341ada1d4d2db8b4605d382798539af027d0e3e0cec0",
    ),
    (
        Sampler::DpmSolver,
        0.0,
        "3fb304e6d71171f1a72a6723dce2337f15b5bc10c9c816148e420acf8ad5183b",
    ),
];

#[test]
fn images_never_change() {
    let model = Model::from_bytes(TINY, "tiny").unwrap();
    for kernel in KernelChoice::ALL.into_iter().filter(|k| k.is_available()) {
        for (sampler, eta, expected) in EXPECTED {
            let generator = Generator::new(&model)
                .sampler(sampler)
                .eta(eta)
                .kernel(kernel);
            let made = generator.seed(2024).count(5).steps(6).run().unwrap();
            assert_eq!(
                sha256(&made.images),
                expected,
                "{sampler}, eta {eta}, {kernel}"
            );
        }
    }
}
