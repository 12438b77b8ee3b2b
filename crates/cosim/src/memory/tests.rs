//! The memory against masters of a few lines.

use super::{BEAT, DATA, Ddr, DdrConfig, NORMAL, ReadRequest, Response, WriteRequest};

fn config() -> DdrConfig {
    DdrConfig {
        stall: 0,
        jitter: 0,
        refresh_period: 0,
        ..DdrConfig::default()
    }
}

/// Keeps `ports` read ports busy for `cycles`; bytes that came.
fn stream(config: DdrConfig, ports: usize, cycles: u64) -> u64 {
    let mut ddr = Ddr::new(config, 0, 1 << 20);
    let mut next = [0u64; 4];
    for _ in 0..cycles {
        let requests: Vec<_> = (0..4)
            .map(|p| ReadRequest {
                arvalid: p < ports,
                araddr: next[p] % (1 << 20),
                arlen: 15,
                arsize: 4,
                arburst: 1,
                arcache: NORMAL,
                arprot: DATA,
                rready: true,
            })
            .collect();
        for (p, next) in next.iter_mut().enumerate().take(ports) {
            *next += if ddr.read_response(p).arready { 256 } else { 0 };
        }
        ddr.after_edge(&requests, &WriteRequest::default());
    }
    ddr.read_bytes().iter().sum()
}

#[test]
fn bandwidth_is_that_of_the_ports_and_of_the_controller() {
    let cycles = 10_000;
    let rate = |config, ports| stream(config, ports, cycles) as f64 / cycles as f64;
    let near = |found: f64, wanted: f64| {
        assert!((found - wanted).abs() < 0.02 * wanted, "{found} {wanted}")
    };
    near(rate(config(), 1), 16.0);
    near(rate(config(), 4), 64.0);
    near(
        rate(
            DdrConfig {
                rate: 40,
                ..config()
            },
            4,
        ),
        40.0,
    );
    near(
        rate(
            DdrConfig {
                background: 20 * 256,
                ..config()
            },
            4,
        ),
        52.0,
    );
    near(
        rate(
            DdrConfig {
                shared_rate: 16,
                ..config()
            },
            4,
        ),
        48.0,
    );
    let refresh = DdrConfig {
        refresh_period: 1560,
        refresh_length: 70,
        ..config()
    };
    near(rate(refresh, 4), 64.0 * 1490.0 / 1560.0);
}

/// One burst of `data.len()` beats at `addr`; the response.
fn write(ddr: &mut Ddr, addr: u64, data: &[[u32; 4]], strobe: u16) -> Response {
    let (mut address, mut beat) = (true, 0);
    for _ in 0..10_000 {
        let response = ddr.write_response();
        let idle = vec![ReadRequest::default(); 4];
        let request = WriteRequest {
            awvalid: address,
            awaddr: addr,
            awlen: data.len() as u8 - 1,
            awsize: 4,
            awburst: 1,
            awcache: NORMAL,
            awprot: DATA,
            wvalid: beat < data.len(),
            wdata: data.get(beat).copied().unwrap_or_default(),
            wstrb: strobe,
            wlast: beat + 1 == data.len(),
            bready: true,
        };
        address &= !response.awready;
        beat += usize::from(request.wvalid && response.wready);
        ddr.after_edge(&idle, &request);
        if response.bvalid {
            return response.bresp;
        }
    }
    panic!("no answer")
}

/// One burst; data and the responses of its beats.
fn read(ddr: &mut Ddr, port: usize, addr: u64, beats: usize) -> Vec<([u32; 4], Response)> {
    let (mut address, mut found) = (true, Vec::new());
    for _ in 0..10_000 {
        let response = ddr.read_response(port);
        let mut requests = vec![ReadRequest::default(); 4];
        let arlen = beats as u8 - 1;
        requests[port] = ReadRequest {
            arvalid: address,
            araddr: addr,
            arlen,
            arsize: 4,
            arburst: 1,
            arcache: NORMAL,
            arprot: DATA,
            rready: true,
        };
        address &= !response.arready;
        if response.rvalid {
            found.push((response.rdata, response.rresp));
            assert_eq!(response.rlast, found.len() == beats);
        }
        ddr.after_edge(&requests, &WriteRequest::default());
        if found.len() == beats {
            return found;
        }
    }
    panic!("no answer")
}

#[test]
fn what_is_written_is_read() {
    let mut ddr = Ddr::new(DdrConfig::default(), 0x4000_0000, 1 << 16);
    let data: Vec<[u32; 4]> = (0..16).map(|i| [i, i + 100, i + 200, i + 300]).collect();
    assert_eq!(write(&mut ddr, 0x4000_0100, &data, 0xffff), Response::Okay);
    for port in 0..4 {
        let found = read(&mut ddr, port, 0x4000_0100, 16);
        assert_eq!(
            found,
            data.iter()
                .map(|d| (*d, Response::Okay))
                .collect::<Vec<_>>()
        );
    }
    assert_eq!(
        write(&mut ddr, 0x4000_0100, &[[u32::MAX; 4]], 0x0003),
        Response::Okay
    );
    assert_eq!(ddr.bytes()[0x100..0x104], [0xff, 0xff, 0, 0]);
}

#[test]
fn faults_answer_errors_and_write_nothing() {
    let mut ddr = Ddr::new(DdrConfig::default(), 0, 1 << 12);
    ddr.fail_reads(0x35, 0x35);
    ddr.fail_writes(0x100, 0x10f);
    let found: Vec<_> = read(&mut ddr, 0, 0, 8)
        .into_iter()
        .map(|(_, response)| response)
        .collect();
    let wanted = (0..8).map(|i| {
        if i == 3 {
            Response::SlaveError
        } else {
            Response::Okay
        }
    });
    assert_eq!(found, wanted.collect::<Vec<_>>());
    assert_eq!(
        write(&mut ddr, 0xf0, &[[7; 4]; 3], 0xffff),
        Response::SlaveError
    );
    assert_eq!(
        (ddr.bytes()[0xf0], ddr.bytes()[0x100], ddr.bytes()[0x110]),
        (7, 0, 7)
    );
    assert_eq!(read(&mut ddr, 2, 0x1000, 1)[0].1, Response::DecodeError);
    ddr.heal();
    assert_eq!(read(&mut ddr, 1, 0x30, 1)[0].1, Response::Okay);
}

#[test]
#[should_panic(expected = "boundary of 4 KB")]
fn a_burst_stays_in_its_page() {
    let mut ddr = Ddr::new(config(), 0, 1 << 16);
    read(&mut ddr, 0, 0x1000 - BEAT as u64, 2);
}

#[test]
#[should_panic(expected = "taken back or changed")]
fn an_address_stays_until_accepted() {
    let mut ddr = Ddr::new(
        DdrConfig {
            stall: 256,
            ..config()
        },
        0,
        1 << 16,
    );
    let mut requests = vec![ReadRequest::default(); 4];
    requests[1] = ReadRequest {
        arvalid: true,
        araddr: 64,
        arlen: 3,
        arsize: 4,
        arburst: 1,
        arcache: NORMAL,
        arprot: DATA,
        rready: false,
    };
    ddr.after_edge(&requests, &WriteRequest::default());
    requests[1].araddr = 128;
    ddr.after_edge(&requests, &WriteRequest::default());
}

#[test]
#[should_panic(expected = "CACHE and PROT")]
fn memory_is_not_cached() {
    let mut ddr = Ddr::new(config(), 0, 1 << 16);
    let mut requests = vec![ReadRequest::default(); 4];
    requests[2] = ReadRequest {
        arvalid: true,
        arsize: 4,
        arburst: 1,
        arcache: 0b0100,
        ..ReadRequest::default()
    };
    // the first edge makes the port ready
    ddr.after_edge(&requests, &WriteRequest::default());
    ddr.after_edge(&requests, &WriteRequest::default());
}

#[test]
#[should_panic(expected = "17 beats")]
fn bursts_have_a_limit() {
    let mut ddr = Ddr::new(config(), 0, 1 << 16);
    read(&mut ddr, 0, 0, 17);
}

/// The cycle model's own DDR is this one: programs are made for it where nobody names another.
#[test]
fn the_usual_memory_is_the_cycle_models() {
    assert_eq!(
        DdrConfig::default().timing(),
        diffuser_device::Timing::default()
    );
}
