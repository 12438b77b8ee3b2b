use std::ops::Range;

use diffuser_device::host::{Driver, HostError, Job};
use diffuser_device::{Device, DeviceError, Options};
use diffuser_isa::generated::register;

use crate::program::*;

#[test]
fn a_job_runs_twice_and_data_can_be_changed() {
    let mut driver = device(Options::default());
    assert_eq!(driver.shape(), diffuser_device::Shape::SMALL);
    assert_works(&mut driver);
    driver.write_data(0, &[9, 8, 7, 6]).unwrap();
    driver.run(BUDGET).unwrap();
    let mut got = [0; 5];
    driver.read_data(64, &mut got).unwrap();
    assert_eq!(got, [9, 8, 7, 6, 2]);
    driver.set_noise(1 << 40, 2).unwrap();
    let device = driver.device_mut();
    assert_eq!(device.read_register(register::SEED_HIGH).unwrap(), 1 << 8);
    assert_eq!(device.read_register(register::IMAGE_LOW).unwrap(), 2);
}

#[test]
fn parts_do_not_overlap_and_are_aligned() {
    let mut driver = device(Options::default());
    let job = Job {
        records: vec![0; 192],
        record_stride: 192,
        ..copy_job()
    };
    let place = driver.load(&job).unwrap();
    for at in [place.program, place.data, place.records] {
        assert!(at.is_multiple_of(64));
    }
    assert!(place.program + job.program.len() as u64 <= place.data);
    assert!(place.data + job.data.len() as u64 <= place.records);
    assert_eq!(place.end, place.records + 192);
}

#[test]
fn jobs_that_are_not_consistent() {
    let mut driver = device(Options::default());
    assert_eq!(driver.run(1).unwrap_err().to_string(), "no job is loaded");
    let mut refused = |job: Job, message: &str| {
        assert_eq!(driver.load(&job).unwrap_err().to_string(), message);
    };
    let good = copy_job();
    refused(
        Job {
            program: vec![0; 65],
            ..good.clone()
        },
        "the job's program is not whole descriptors",
    );
    refused(
        Job {
            program: vec![],
            ..good.clone()
        },
        "the job's program is not whole descriptors",
    );
    refused(
        Job {
            steps: 0,
            ..good.clone()
        },
        "the job's number of steps is 0",
    );
    refused(
        Job {
            record_stride: 65,
            ..good.clone()
        },
        "the job's records are not a multiple of 64 bytes",
    );
    refused(
        Job {
            record_stride: 64,
            records: vec![0; 128],
            ..good.clone()
        },
        "the job's records are not one for each step",
    );
    driver.load(&good).unwrap();
    assert_eq!(
        driver.read_data(120, &mut [0; 9]).unwrap_err().to_string(),
        "bytes 120 to 129 are not in the job's 128 bytes of data"
    );
}

/// Registers of something else, with little memory.
struct Stranger {
    id: u32,
    version: u32,
}

impl Device for Stranger {
    fn read_register(&mut self, offset: u32) -> Result<u32, DeviceError> {
        Ok(match offset {
            register::ID => self.id,
            register::VERSION => self.version,
            _ => 0,
        })
    }
    fn write_register(&mut self, _: u32, _: u32) -> Result<(), DeviceError> {
        Ok(())
    }
    fn memory(&self) -> Range<u64> {
        0x1000..0x2080
    }
    fn read_memory(&mut self, _: u64, _: &mut [u8]) -> Result<(), DeviceError> {
        Ok(())
    }
    fn write_memory(&mut self, _: u64, _: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }
    fn wait(&mut self, _: u64) -> Result<bool, DeviceError> {
        Ok(false)
    }
    fn reset(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

#[test]
fn other_devices_and_too_little_memory() {
    let id = register::ID_RESET;
    for (id, version) in [
        (0, register::VERSION_RESET),
        (id, register::VERSION_RESET + 1),
    ] {
        let result = Driver::new(Stranger { id, version }).map(|_| ());
        assert!(matches!(result, Err(HostError::Unknown { .. })));
    }
    let mut driver = Driver::new(Stranger {
        id,
        version: register::VERSION_RESET,
    })
    .map_err(|e| e.to_string())
    .unwrap();
    // program at 0x1000, data at 0x2000 with 128 bytes, records (none) at 0x3000
    assert_eq!(
        driver.load(&copy_job()).unwrap_err().to_string(),
        "the job needs 8192 bytes of DDR, which has 4224"
    );
}
