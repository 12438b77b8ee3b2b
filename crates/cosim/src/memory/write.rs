//! The write port's side of the memory.

use std::collections::VecDeque;

use super::{
    BEAT, DdrConfig, Response, Store, WriteRequest, WriteResponse, check_burst, check_kind,
    check_stable, hit,
};
use crate::bench::Random;

/// A burst whose data have all come; what it writes is seen when it is answered, not before.
#[derive(Debug)]
struct Done {
    beats: Vec<(u64, [u32; 4], u16)>,
    ready: u64,
}

#[derive(Debug, Default)]
pub struct WriteSide {
    pub response: WriteResponse,
    pub bytes: u64,
    /// Addresses and lengths in beats, in order.
    addresses: VecDeque<(u64, usize)>,
    /// Beats of the first of them.
    beats: Vec<(u64, [u32; 4], u16)>,
    done: VecDeque<Done>,
    address_waiting: Option<(u64, [u8; 5])>,
    data_waiting: Option<([u32; 4], u16, bool)>,
}

impl WriteSide {
    pub fn idle(&self) -> bool {
        self.addresses.is_empty() && self.done.is_empty() && !self.response.bvalid
    }

    /// A cycle; tells whether a beat was taken.
    pub fn cycle(
        &mut self,
        request: &WriteRequest,
        credit: bool,
        store: &mut Store,
        config: &DdrConfig,
        random: &mut Random,
        cycle: u64,
    ) -> bool {
        let address = (
            request.awaddr,
            [
                request.awlen,
                request.awsize,
                request.awburst,
                request.awcache,
                request.awprot,
            ],
        );
        let now = request.awvalid.then_some(address);
        check_stable("AW", self.address_waiting.as_ref(), now.as_ref());
        self.address_waiting = now.filter(|_| !self.response.awready);
        let now = request
            .wvalid
            .then_some((request.wdata, request.wstrb, request.wlast));
        check_stable("W", self.data_waiting.as_ref(), now.as_ref());
        self.data_waiting = now.filter(|_| !self.response.wready);

        if request.awvalid && self.response.awready {
            check_burst(
                "write",
                request.awaddr,
                request.awlen,
                request.awsize,
                request.awburst,
            );
            check_kind("write", request.awcache, request.awprot);
            self.addresses
                .push_back((request.awaddr, usize::from(request.awlen) + 1));
        }
        let taken = request.wvalid && self.response.wready;
        if taken {
            let &(addr, beats) = self
                .addresses
                .front()
                .expect("ready only behind an address");
            let at = addr + (self.beats.len() * BEAT) as u64;
            self.beats.push((at, request.wdata, request.wstrb));
            let last = self.beats.len() == beats;
            assert_eq!(
                request.wlast,
                last,
                "WLAST of the write at {addr:#x}, beat {}",
                self.beats.len()
            );
            self.bytes += BEAT as u64;
            if last {
                self.addresses.pop_front();
                let beats = std::mem::take(&mut self.beats);
                let ready = cycle + config.latency + random.below(config.jitter + 1);
                self.done.push_back(Done { beats, ready });
            }
        }
        if self.response.bvalid && request.bready {
            self.response.bvalid = false;
        }
        if !self.response.bvalid && self.done.front().is_some_and(|d| d.ready <= cycle) {
            let done = self.done.pop_front().expect("just seen");
            self.response.bresp = finish(&done, store);
            self.response.bvalid = true;
        }
        self.response.awready =
            self.addresses.len() < config.outstanding && !random.chance(config.stall);
        self.response.wready = !self.addresses.is_empty()
            && credit
            && self.done.len() < config.outstanding
            && !random.chance(config.stall);
        taken
    }
}

/// Writes a burst; the first error of its beats.
fn finish(burst: &Done, store: &mut Store) -> Response {
    let mut response = Response::Okay;
    for (addr, data, strobe) in &burst.beats {
        let Some(at) = store.index(*addr) else {
            response = if response == Response::Okay {
                Response::DecodeError
            } else {
                response
            };
            continue;
        };
        if hit(&store.write_faults, *addr) {
            response = Response::SlaveError;
            continue;
        }
        let bytes = data.iter().flat_map(|w| w.to_le_bytes());
        for (i, byte) in bytes.enumerate().filter(|(i, _)| strobe >> i & 1 == 1) {
            store.bytes[at + i] = byte;
        }
    }
    response
}
