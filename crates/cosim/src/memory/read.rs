//! A read port's side of the memory.

use std::collections::VecDeque;

use super::{
    BEAT, DdrConfig, ReadRequest, ReadResponse, Response, Store, check_burst, check_kind,
    check_stable, hit,
};
use crate::bench::Random;

#[derive(Debug, Clone, Copy)]
struct Burst {
    addr: u64,
    beats: usize,
    /// Cycle from which data can come.
    ready: u64,
}

#[derive(Debug, Default)]
pub struct ReadSide {
    pub response: ReadResponse,
    pub bytes: u64,
    bursts: VecDeque<Burst>,
    waiting: Option<(u64, [u8; 5])>,
}

impl ReadSide {
    pub fn idle(&self) -> bool {
        self.bursts.is_empty() && !self.response.rvalid
    }

    /// What the master showed before the edge.
    pub fn accept(
        &mut self,
        port: usize,
        request: &ReadRequest,
        config: &DdrConfig,
        random: &mut Random,
        cycle: u64,
    ) {
        let address = (
            request.araddr,
            [
                request.arlen,
                request.arsize,
                request.arburst,
                request.arcache,
                request.arprot,
            ],
        );
        let now = request.arvalid.then_some(address);
        check_stable(
            &format!("AR of port {port}"),
            self.waiting.as_ref(),
            now.as_ref(),
        );
        self.waiting = now.filter(|_| !self.response.arready);
        if request.arvalid && self.response.arready {
            let what = format!("read of port {port}");
            check_burst(
                &what,
                request.araddr,
                request.arlen,
                request.arsize,
                request.arburst,
            );
            check_kind(&what, request.arcache, request.arprot);
            let ready = cycle + config.latency + random.below(config.jitter + 1);
            self.bursts.push_back(Burst {
                addr: request.araddr,
                beats: usize::from(request.arlen) + 1,
                ready,
            });
        }
        if self.response.rvalid && request.rready {
            self.bytes += BEAT as u64;
            self.response.rvalid = false;
        }
        self.response.arready =
            self.bursts.len() < config.outstanding && !random.chance(config.stall);
    }

    /// Puts the next beat on the lines, if there is one and `credit` for it; tells whether.
    pub fn supply(
        &mut self,
        credit: bool,
        store: &Store,
        config: &DdrConfig,
        random: &mut Random,
        cycle: u64,
    ) -> bool {
        let Some(burst) = self.bursts.front_mut() else {
            return false;
        };
        if self.response.rvalid || burst.ready > cycle || !credit || random.chance(config.stall) {
            return false;
        }
        let data = store.index(burst.addr);
        self.response.rdata = std::array::from_fn(|i| match data {
            Some(at) => u32::from_le_bytes(
                store.bytes[at + 4 * i..][..4]
                    .try_into()
                    .expect("four bytes"),
            ),
            None => random.bits() as u32,
        });
        self.response.rresp = match data {
            None => Response::DecodeError,
            Some(_) if hit(&store.read_faults, burst.addr) => Response::SlaveError,
            Some(_) => Response::Okay,
        };
        burst.addr += BEAT as u64;
        burst.beats -= 1;
        self.response.rlast = burst.beats == 0;
        self.response.rvalid = true;
        if self.response.rlast {
            self.bursts.pop_front();
        }
        true
    }
}
