//! A picture on the panel of the display's RTL, as a PNG of what the panel was sent:
//!
//!     cargo run --release -- generate --count 1 --each images
//!     DIFFUSER_TOPS=display_unit cargo run -p diffuser-cosim --features verilator --example panel -- images/00000.png panel.png 15
//!
//! The display is that of 800x480 at 33.3 MHz, its bus at 200 MHz. The third argument is how many times larger the picture is shown.

#[cfg(top_display_unit)]
mod panel {
    use std::fs::File;
    use std::io::BufReader;

    use diffuser_cosim::memory::DdrConfig;
    use diffuser_cosim::panel::{Clocks, Panel};
    use diffuser_cosim::tops::DisplayUnit;
    use diffuser_device::display::{Driver, Settings};

    type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

    /// Red, green, blue of a PNG, and its size.
    fn read(path: &str) -> Result<(Vec<u8>, (u32, u32))> {
        let mut decoder = png::Decoder::new(BufReader::new(File::open(path)?));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let mut bytes = vec![0; reader.output_buffer_size().ok_or("too large")?];
        let info = reader.next_frame(&mut bytes)?;
        let channels = info.color_type.samples();
        let colours = |p: &[u8]| {
            if channels < 3 {
                [p[0]; 3]
            } else {
                [p[0], p[1], p[2]]
            }
        };
        let rgb = bytes[..info.buffer_size()].chunks(channels);
        Ok((rgb.flat_map(colours).collect(), (info.width, info.height)))
    }

    pub fn main() -> Result<()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [picture, output, scale] = &arguments[..] else {
            return Err("which picture, to which file, how many times larger?".into());
        };
        let (rgb, size) = read(picture)?;
        let clocks = Clocks {
            bus: 5000,
            pixel: 30_030,
            phase: 1234,
        };
        let panel = Panel::new(DisplayUnit::new(), DdrConfig::default(), 1 << 22, clocks, 1);
        let settings = Settings {
            background: 0x20_2430,
            ..Settings::default()
        };
        let mut driver = Driver::new(panel)?;
        driver.show(&settings, &rgb, size, scale.parse()?)?;
        let (columns, rows) = (settings.line.active, settings.frame.active);
        let panel = driver.device_mut();
        // data enable alone says where the pixels are, as it does to a panel
        panel.run_to((settings.line.total() * settings.frame.total()) as usize);
        let sent = panel.take_signals();
        let shown = sent.iter().filter(|s| s.de);
        let shown: Vec<u8> = shown
            .take((columns * rows) as usize)
            .flat_map(|s| [s.rgb >> 16, s.rgb >> 8, s.rgb].map(|c| c as u8))
            .collect();
        let mut encoder = png::Encoder::new(File::create(output)?, columns, rows);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header()?.write_image_data(&shown)?;
        let status = driver.status()?;
        println!(
            "{} pixel clocks, {status:?}, {} bytes read",
            sent.len(),
            driver.device_mut().ddr_mut().read_bytes()[0]
        );
        Ok(())
    }
}

#[cfg(top_display_unit)]
fn main() {
    if let Err(e) = panel::main() {
        eprintln!("error: {e}");
        std::process::exit(1);
    }
}

#[cfg(not(top_display_unit))]
fn main() {
    panic!("needs --features verilator and the top display_unit");
}
