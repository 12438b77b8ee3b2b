//! Ends of the memories: an access of any client past the end of its memory is told as its unit's, and told of no other; such a write is dropped.
#![cfg(top_memory_system)]

use diffuser_cosim::tops::MemorySystem;
use diffuser_device::Sizes;
use diffuser_isa::Unit;

/// Cycles from a grant to the unit's bit at the most (hw/README.md).
const LATE: usize = 4;

/// Asks for an address, or for nothing.
type Ask = Box<dyn Fn(&mut MemorySystem, Option<usize>)>;

/// A port of a client.
struct Client {
    name: String,
    unit: Unit,
    /// Words of the memory.
    depth: usize,
    writes: bool,
    ask: Ask,
    granted: Box<dyn Fn(&MemorySystem) -> bool>,
}

/// `at` in lane `n` of lanes of `width` bits, as a port of up to 96 bits.
fn lane<const N: usize>(width: usize, n: usize, at: usize) -> [u32; N] {
    let value = (at as u128) << (width * n);
    std::array::from_fn(|word| (value >> (32 * word)) as u32)
}

/// The same as a port of up to 64 bits.
fn lane64(width: usize, n: usize, at: usize) -> u64 {
    (at as u64) << (width * n)
}

fn bit(n: usize, at: Option<usize>) -> u8 {
    u8::from(at.is_some()) << n
}

fn clients() -> Vec<Client> {
    let sizes = Sizes::SMALL;
    let mut all = vec![];
    macro_rules! client {
        ($memory:ident, $writes:literal, $n:expr, $unit:expr, |$top:ident, $at:ident| $ask:expr, |$shown:ident| $granted:expr) => {
            all.push(Client {
                name: format!(
                    "{} {} {}",
                    stringify!($memory),
                    if $writes { "write" } else { "read" },
                    $n
                ),
                unit: $unit,
                depth: sizes.$memory,
                writes: $writes,
                ask: Box::new(move |$top, $at| $ask),
                granted: Box::new(move |$shown| $granted),
            })
        };
    }
    for (n, unit) in [Unit::Array, Unit::Prep, Unit::Sample, Unit::Dma]
        .into_iter()
        .enumerate()
    {
        client!(
            stream,
            false,
            n,
            unit,
            |top, at| {
                top.set_stream_req_i(bit(n, at));
                top.set_stream_addr_i(lane(24, n, at.unwrap_or(0)));
            },
            |top| top.stream_gnt_o() >> n & 1 == 1
        );
    }
    for (n, unit) in [Unit::Array, Unit::Prep, Unit::Dma].into_iter().enumerate() {
        client!(
            stream,
            true,
            n,
            unit,
            |top, at| {
                top.set_stream_we_i(bit(n, at));
                top.set_stream_waddr_i(lane(24, n, at.unwrap_or(0)));
            },
            |top| top.stream_wgnt_o() >> n & 1 == 1
        );
    }
    // a bank after the other; the others' rows are inside
    for bank in 0..4 {
        client!(
            operand,
            false,
            bank,
            Unit::Array,
            |top, at| {
                top.set_operand_req_i(at.is_some());
                top.set_operand_en_i(bit(bank, at));
                top.set_operand_addr_i(lane(24, bank, at.unwrap_or(0)));
            },
            |_top| true
        );
    }
    for (n, unit) in [Unit::Array, Unit::Prep].into_iter().enumerate() {
        client!(
            operand,
            true,
            n,
            unit,
            |top, at| {
                top.set_operand_we_i(bit(n, at));
                top.set_operand_waddr_i(lane64(24, n, at.unwrap_or(0)));
            },
            |top| top.operand_wgnt_o() >> n & 1 == 1
        );
    }
    client!(
        weight,
        false,
        0,
        Unit::Array,
        |top, at| {
            top.set_weight_req_i(at.is_some());
            top.set_weight_addr_i(at.unwrap_or(0) as u32);
        },
        |_top| true
    );
    for (n, unit) in [Unit::Array, Unit::Dma].into_iter().enumerate() {
        client!(
            weight,
            true,
            n,
            unit,
            |top, at| {
                top.set_weight_we_i(bit(n, at));
                top.set_weight_waddr_i(lane64(24, n, at.unwrap_or(0)));
            },
            |top| top.weight_wgnt_o() >> n & 1 == 1
        );
    }
    for (n, unit) in [Unit::Array, Unit::Prep, Unit::Norm, Unit::Sample]
        .into_iter()
        .enumerate()
    {
        client!(
            param,
            false,
            n,
            unit,
            |top, at| {
                top.set_param_req_i(bit(n, at));
                top.set_param_addr_i(lane64(16, n, at.unwrap_or(0)));
            },
            |top| top.param_gnt_o() >> n & 1 == 1
        );
    }
    client!(
        param,
        true,
        0,
        Unit::Dma,
        |top, at| {
            top.set_param_we_i(at.is_some());
            top.set_param_waddr_i(at.unwrap_or(0) as u16);
        },
        |top| top.param_wgnt_o()
    );
    client!(
        affine,
        false,
        0,
        Unit::Prep,
        |top, at| {
            top.set_affine_req_i(at.is_some());
            top.set_affine_addr_i(at.unwrap_or(0) as u16);
        },
        |top| top.affine_gnt_o()
    );
    client!(
        affine,
        true,
        0,
        Unit::Norm,
        |top, at| {
            top.set_affine_we_i(at.is_some());
            top.set_affine_waddr_i(at.unwrap_or(0) as u16);
        },
        |top| top.affine_wgnt_o()
    );
    for (n, unit) in [Unit::Array, Unit::Norm].into_iter().enumerate() {
        client!(
            sums,
            false,
            n,
            unit,
            |top, at| {
                top.set_sums_req_i(bit(n, at));
                top.set_sums_addr_i(lane64(16, n, at.unwrap_or(0)) as u32);
            },
            |top| top.sums_gnt_o() >> n & 1 == 1
        );
    }
    for (n, unit) in [Unit::Array, Unit::Prep].into_iter().enumerate() {
        client!(
            sums,
            true,
            n,
            unit,
            |top, at| {
                top.set_sums_we_i(bit(n, at));
                top.set_sums_waddr_i(lane64(16, n, at.unwrap_or(0)) as u32);
            },
            |top| top.sums_wgnt_o() >> n & 1 == 1
        );
    }
    for (n, unit) in [Unit::Prep, Unit::Sample, Unit::Dma]
        .into_iter()
        .enumerate()
    {
        client!(
            state,
            false,
            n,
            unit,
            |top, at| {
                top.set_state_req_i(bit(n, at));
                top.set_state_addr_i(lane(24, n, at.unwrap_or(0)));
            },
            |top| top.state_gnt_o() >> n & 1 == 1
        );
    }
    for (n, unit) in [Unit::Sample, Unit::Dma].into_iter().enumerate() {
        client!(
            state,
            true,
            n,
            unit,
            |top, at| {
                top.set_state_we_i(bit(n, at));
                top.set_state_waddr_i(lane64(24, n, at.unwrap_or(0)));
            },
            |top| top.state_wgnt_o() >> n & 1 == 1
        );
    }
    all
}

/// A memory system out of reset whose writers would write all lanes.
fn memories() -> MemorySystem {
    let mut top = MemorySystem::new();
    top.set_rst_ni(false);
    top.tick();
    top.tick();
    top.set_rst_ni(true);
    top.set_stream_wstrb_i(u32::MAX >> 8);
    top.set_operand_wstrb_i(u8::MAX);
    top.set_weight_wstrb_i([u32::MAX; 4]);
    top.set_state_wstrb_i(u8::MAX);
    // what no memory holds at the beginning but by a rare chance
    top.set_stream_wdata_i([0xa5a5_1234; 12]);
    top.set_operand_wdata_i([0xa5a5_1234; 16]);
    top.set_weight_wdata_i([0xa5a5_1234; 32]);
    top.set_param_wdata_i(0xa5a5_1234_0f0f_4321);
    top.set_affine_wdata_i(0x12_3456_789a_bcde);
    top.set_sums_wdata_i([0xa5a5_1234; 8]);
    top.set_state_wdata_i([0xa5a5_1234; 8]);
    top
}

/// One access; the units that were told of it, a bit each.
fn access(top: &mut MemorySystem, client: &Client, at: usize) -> u8 {
    (client.ask)(top, Some(at));
    top.eval();
    let mut waited = 0;
    while !(client.granted)(top) {
        top.tick();
        waited += 1;
        assert!(waited < 10, "{}: no grant", client.name);
    }
    top.tick();
    (client.ask)(top, None);
    let mut told = 0;
    for cycle in 0..2 * LATE {
        top.eval();
        assert!(
            top.range_o() == 0 || cycle < LATE,
            "{} at {at}: too late",
            client.name
        );
        told |= top.range_o();
        top.tick();
    }
    told
}

/// All words of all memories.
fn contents(top: &MemorySystem) -> Vec<Vec<u32>> {
    let words = MemorySystem::MEMORIES.iter().enumerate();
    words
        .flat_map(|(memory, &(_, _, depth))| (0..depth).map(move |word| (memory, word)))
        .map(|(memory, word)| top.peek(memory, word))
        .collect()
}

#[test]
fn every_client_is_told_of_its_own_accesses_past_the_end() {
    let mut top = memories();
    for client in clients() {
        let widest = if matches!(
            client.name.split(' ').next(),
            Some("param" | "affine" | "sums")
        ) {
            16
        } else {
            24
        };
        for at in [0, 1, client.depth / 2, client.depth - 1] {
            assert_eq!(access(&mut top, &client, at), 0, "{} at {at}", client.name);
        }
        for at in [
            client.depth,
            client.depth + 1,
            2 * client.depth,
            (1 << widest) - 1,
        ] {
            let told = access(&mut top, &client, at);
            assert_eq!(told, 1 << client.unit as u32, "{} at {at}", client.name);
        }
    }
}

#[test]
fn a_write_past_the_end_is_dropped() {
    let mut top = memories();
    for client in clients().iter().filter(|c| c.writes) {
        let before = contents(&top);
        access(&mut top, client, client.depth);
        access(&mut top, client, 2 * client.depth - 1);
        assert!(before == contents(&top), "{}", client.name);
        // another word for each of a memory's writers
        access(&mut top, client, client.depth - 1 - client.unit as usize);
        let after = contents(&top);
        let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        let arrays = match client.name.split(' ').next() {
            Some("operand") => 4, // banks
            Some("affine") => 2,  // halves of an entry
            _ => 1,
        };
        assert_eq!(
            changed, arrays,
            "{}: words that one inside changes",
            client.name
        );
    }
}

/// A bank that nobody asks for may be given any row.
#[test]
fn banks_of_the_operand_memory_that_are_not_read_do_not_count() {
    let mut top = memories();
    let outside = lane(24, 2, Sizes::SMALL.operand);
    for (en, told) in [(0b1011, 0), (0b0100, 1 << Unit::Array as u32)] {
        top.set_operand_req_i(true);
        top.set_operand_en_i(en);
        top.set_operand_addr_i(outside);
        top.tick();
        top.set_operand_req_i(false);
        let mut seen = 0;
        for _ in 0..2 * LATE {
            top.eval();
            seen |= top.range_o();
            top.tick();
        }
        assert_eq!(seen, told, "banks {en:04b}");
    }
}
