"""The dma unit's AXI4 masters against cocotbext-axi's memories: another reading of the protocol than that of crates/cosim."""

import itertools
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge, Timer
from cocotbext.axi import AxiRamRead, AxiRamWrite, AxiReadBus, AxiWriteBus

SIZE = 1 << 20
WEIGHT, PARAM, STREAM, STATE, PIXEL, WEIGHT4 = range(6)
WORD = {WEIGHT: 512, PARAM: 8, STREAM: 64, STATE: 16, PIXEL: 4, WEIGHT4: 256}


def descriptor(store, space, address, words, ddr):
    return (4 if store else 3) | space << 128 | address << 160 | words << 192 | ddr << 224


class Bench:
    def __init__(self, dut, seed):
        self.dut = dut
        self.random = random.Random(seed)
        self.done = 0
        self.errors = []
        self.reads = [
            AxiRamRead(AxiReadBus.from_prefix(dut, f"m_axi{p}"), dut.clk, dut.rst_n, reset_active_level=False, size=SIZE)
            for p in range(4)
        ]
        memory = self.reads[0].mem
        for port in self.reads:
            port.mem = memory
        self.write = AxiRamWrite(
            AxiWriteBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst_n, reset_active_level=False, size=SIZE, mem=memory
        )
        self.memory = memory
        memory[:] = self.random.randbytes(SIZE)

    def pause(self, parts):
        """Of 256 cycles, in how many a channel stands still."""

        def generator(seed):
            source = random.Random(seed)
            return (source.randrange(256) < parts for _ in itertools.count())

        channels = [(p.ar_channel, p.r_channel) for p in self.reads]
        channels.append((self.write.aw_channel, self.write.w_channel, self.write.b_channel))
        for i, channel in enumerate(itertools.chain.from_iterable(channels)):
            channel.set_pause_generator(generator(self.random.random()))

    async def start(self):
        dut = self.dut
        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
        for name in ("desc_valid", "desc", "step", "flush", "data_base", "step_base", "step_stride", "look"):
            getattr(dut, name).value = 0
        dut.steps.value = 1
        dut.rst_n.value = 0
        for _ in range(4):
            await RisingEdge(dut.clk)
        dut.rst_n.value = 1
        cocotb.start_soon(self.count())

    async def count(self):
        while True:
            await RisingEdge(self.dut.clk)
            await ReadOnly()
            self.done += int(self.dut.done.value)
            if int(self.dut.error.value):
                self.errors.append(int(self.dut.error_code.value))

    async def run(self, descriptors):
        dut = self.dut
        goal = self.done + len(descriptors)
        for bits in descriptors:
            dut.desc.value = bits
            dut.desc_valid.value = 1
            while True:
                await ReadOnly()
                taken = int(dut.desc_ready.value)
                await RisingEdge(dut.clk)
                if taken:
                    break
            dut.desc_valid.value = 0
        for _ in range(20_000):
            await RisingEdge(dut.clk)
            if self.done == goal:
                break
        assert self.done == goal, f"{self.done} of {goal} retired"
        await RisingEdge(dut.clk)

    async def look(self, name, address):
        self.dut.look.value = address
        await Timer(1, "ns")
        return int(getattr(self.dut, f"look_{name}").value)


def words(data, size):
    return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]


def pixel(value):
    value -= (value >> 31) << 32
    return min(255, max(0, (255 * (value + (1 << 24)) + (1 << 24)) >> 25))


def place(source, count, size):
    """An offset in units of 64 bytes, often before a boundary of 4 KB."""
    room = (SIZE - count * size) // 64
    at = source.randrange(room)
    return min(room, at // 64 * 64 + 63) if source.randrange(2) else at


@cocotb.test()
async def loads(dut):
    bench = Bench(dut, 1)
    await bench.start()
    source = bench.random
    for parts in (0, 60, 200):
        bench.pause(parts)
        for _ in range(8):
            count = source.randrange(1, 40)
            list_ = [(space, source.randrange(200), place(source, count, WORD[space])) for space in (WEIGHT, PARAM, STREAM, STATE)]
            source.shuffle(list_)
            await bench.run([descriptor(False, space, at, count, ddr) for space, at, ddr in list_])
            for space, at, ddr in list_:
                size = WORD[space]
                wanted = words(bench.memory[64 * ddr : 64 * ddr + count * size], size)
                name = ("weight", "param", "stream", "state")[space]
                for i in (0, count // 2, count - 1):
                    assert await bench.look(name, at + i) == wanted[i], f"{name} {at} + {i}"
    assert bench.errors == []


@cocotb.test()
async def stores(dut):
    bench = Bench(dut, 2)
    await bench.start()
    source = bench.random
    await bench.run([descriptor(False, STREAM, 0, 256, 0), descriptor(False, STATE, 0, 256, 1024)])
    stream = bytes(bench.memory[: 64 * 256])
    # values about 0 to 1 in Q24: nearly every level of a pixel
    for i in range(0, 16 * 256, 4):
        value = source.randrange(-(9 << 21), 9 << 21)
        bench.memory[65536 + i : 65536 + i + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")
    await bench.run([descriptor(False, STATE, 0, 256, 1024)])
    state = bytes(bench.memory[65536 : 65536 + 16 * 256])
    pixels = bytes(pixel(v) for v in words(state, 4))
    for parts in (0, 60, 200):
        bench.pause(parts)
        for _ in range(6):
            count = source.randrange(1, 60)
            first = source.randrange(256 - count)
            for space, bytes_ in ((STREAM, stream), (STATE, state), (PIXEL, pixels)):
                ddr = place(source, count, WORD[space])
                wanted = bytearray(bench.memory[:])
                size = WORD[space]
                wanted[64 * ddr : 64 * ddr + count * size] = bytes_[first * size : (first + count) * size]
                await bench.run([descriptor(True, space, first, count, ddr)])
                assert bench.memory[:] == wanted, f"space {space}, {count} words from {first} to {ddr}"
    assert bench.errors == []
