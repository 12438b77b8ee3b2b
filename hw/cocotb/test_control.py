"""The registers against cocotbext-axi's AXI4-Lite master, the descriptors' master against its memory."""

import itertools
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiRamRead, AxiReadBus

SIZE = 1 << 16
CONTROL, STATUS, ENABLE, INTERRUPT, ERROR = 0x10, 0x14, 0x18, 0x1C, 0x20
PROGRAM_LOW, PROGRAM_LENGTH, STEPS, SEED_LOW, STEP = 0x30, 0x38, 0x54, 0x58, 0x6C


def pauses(parts, seed):
    source = random.Random(seed)
    return (source.randrange(256) < parts for _ in itertools.count())


async def start(dut, parts):
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst_n, reset_active_level=False)
    memory = AxiRamRead(AxiReadBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst_n, reset_active_level=False, size=SIZE)
    channels = (
        master.write_if.aw_channel,
        master.write_if.w_channel,
        master.write_if.b_channel,
        master.read_if.ar_channel,
        master.read_if.r_channel,
        memory.ar_channel,
        memory.r_channel,
    )
    for i, channel in enumerate(channels):
        channel.set_pause_generator(pauses(parts, i))
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    dut.rst_n.value = 0
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst_n.value = 1
    await RisingEdge(dut.clk)
    return master, memory


def norm(waits=0, count=0, first=False):
    """`norm` of one group; waits for itself where told."""
    bits = 5 | first << 14
    bits |= waits << 8 | (count & 0xFFFF) << 48
    bits |= 1 << 144  # channels_a
    bits |= 1 << 192  # group_channels
    bits |= 1 << 224  # groups
    bits |= 1 << 288  # count
    return bits


@cocotb.test()
async def registers(dut):
    for parts in (0, 100, 200):
        master, _ = await start(dut, parts)
        assert await master.read_dword(0) == 0x44494646
        assert await master.read_dword(8) == 8 | 32 << 8 | 16 << 16
        source = random.Random(parts)
        value = 0
        for _ in range(40):
            # bytes and halves, as a master with strobes writes them
            size = source.choice((1, 2, 4))
            offset = source.randrange(0, 4, size)
            data = source.randbytes(size)
            await master.write(SEED_LOW + offset, data)
            shift = 8 * offset
            mask = ((1 << 8 * size) - 1) << shift
            value = value & ~mask | int.from_bytes(data, "little") << shift
            assert await master.read_dword(SEED_LOW) == value
        # reads and writes at once
        writes = [cocotb.start_soon(master.write_dword(0x5C + 4 * i, i + 7)) for i in range(3)]
        reads = [cocotb.start_soon(master.read_dword(SEED_LOW)) for _ in range(3)]
        for task in reads:
            assert await task == value
        for task in writes:
            await task
        assert [await master.read_dword(0x5C + 4 * i) for i in range(3)] == [7, 8, 9]


@cocotb.test()
async def program(dut):
    master, memory = await start(dut, 80)
    at = 0x1FC0  # a descriptor before a boundary of 4 KB
    list_ = [norm(), norm(), norm(first=True), norm(waits=2, count=-1), 2 | 2 << 128, norm(waits=2), 1]
    for steps in (1, 6):
        before = int(dut.norms.value)
        for i, bits in enumerate(list_):
            memory.write(at + 64 * i, bits.to_bytes(64, "little"))
        await master.write_dword(PROGRAM_LOW, at)
        await master.write_dword(PROGRAM_LENGTH, len(list_))
        await master.write_dword(STEPS, steps)
        await master.write_dword(ENABLE, 1)
        await master.write_dword(CONTROL, 1)
        while not int(dut.irq.value):
            await RisingEdge(dut.clk)
        assert await master.read_dword(STATUS) & 6 == 2
        assert await master.read_dword(ERROR) == 0
        assert await master.read_dword(STEP) == steps - 1
        assert int(dut.norms.value) - before == 2 + 2 * steps + 1
        await master.write_dword(INTERRUPT, 1)
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        assert not int(dut.irq.value)
        while await master.read_dword(STATUS) & 1:
            pass
    # an unknown opcode at 3
    memory.write(at + 64 * 3, bytes([99]) + bytes(63))
    await master.write_dword(CONTROL, 1)
    while await master.read_dword(STATUS) & 1:
        pass
    assert await master.read_dword(STATUS) == 4
    assert await master.read_dword(ERROR) == 1 | 7 << 4 | 3 << 8
