"""Netlists made by hand: what netlist.py counts, crossings.py refuses, limits.py allows, hierarchy.py merges. Run: python hw/synth/test_netlist.py"""

import unittest

import crossings
import hierarchy
import limits
import netlist


def cell(kind, parameters=None, **connections):
    return {"type": kind, "parameters": parameters or {}, "connections": {port: bits for port, bits in connections.items()}}


def module(cells, ports=None):
    bits = {bit for c in cells.values() for b in c["connections"].values() for bit in b if not isinstance(bit, str)}
    names = {f"n{bit}": {"bits": [bit], "hide_name": 0} for bit in bits}
    return {"cells": cells, "ports": ports or {}, "netnames": names}


class Levels(unittest.TestCase):
    def test_luts_between_registers(self):
        result = netlist.analyse(module({
            "a": cell("FDRE", Q=[1], D=["0"], C=[9]),
            "x": cell("LUT2", I0=[1], I1=[4], O=[2]),
            "y": cell("LUT1", I0=[2], O=[3]),
            "b": cell("FDRE", Q=[4], D=[3], C=[9]),
        }))
        self.assertEqual(result["levels"], 2)
        self.assertEqual(result["paths"][0]["to"], "n4 (FDRE.D)")
        self.assertEqual(result["resources"]["lut"], 2)
        self.assertEqual(result["resources"]["ff"], 2)

    def test_a_carry_chain_is_one_level(self):
        cells = {"a": cell("FDRE", Q=[1], D=[100], C=[9])}
        carry = 1
        for i in range(10):
            out = list(range(20 + 8 * i, 24 + 8 * i))
            co = list(range(24 + 8 * i, 28 + 8 * i))
            # in the last one only the carry out is used
            cells[f"c{i}"] = cell("CARRY4", CI=[carry] if i else ["0"], S=[1] * 4 if i < 9 else ["0"] * 4, DI=["0"] * 4, O=out, CO=co)
            carry = co[3]
        cells["b"] = cell("FDRE", Q=[200], D=[out[3]], C=[9])
        result = netlist.analyse(module(cells))
        self.assertEqual(result["levels"], 1)
        self.assertEqual(result["longest_carry"], 36)

    def test_distributed_ram_is_a_level_from_its_address_and_an_end_of_what_it_writes(self):
        result = netlist.analyse(module({
            "a": cell("FDRE", Q=[1], D=["0"], C=[9]),
            "x": cell("LUT1", I0=[1], O=[2]),
            "r": cell("RAM32M16", ADDRA=[1], DIA=[2], WE=[2], DOA=[3]),
            "b": cell("FDRE", Q=[4], D=[3], C=[9]),
        }))
        self.assertEqual([(p["levels"], p["to"]) for p in result["paths"]],
                         [(1, "n3 (RAM32M16.DIA)"), (1, "n3 (RAM32M16.WE)"), (1, "n4 (FDRE.D)")])


class Rules(unittest.TestCase):
    def rules(self, cells):
        return netlist.analyse(module(cells))["rules"]

    def test_loop(self):
        rules = self.rules({"x": cell("LUT1", I0=[2], O=[1]), "y": cell("LUT1", I0=[1], O=[2])})
        self.assertEqual(rules["combinational_loops"], 1)

    def test_latch_and_asynchronous_reset(self):
        rules = self.rules({"l": cell("LDCE", Q=[1], D=[2], G=[3]), "f": cell("FDCE", Q=[4], D=[1], C=[9], CLR=[5])})
        self.assertEqual((rules["latches"], rules["asynchronous_resets"]), (1, 1))

    def test_dsp_behind_logic(self):
        cells = {
            "a": cell("FDRE", Q=[1], D=["0"], C=[9]),
            "x": cell("LUT1", I0=[1], O=[2]),
            "d": cell("DSP48E2", {"AREG": "0"}, A=[2], B=[1], P=[3]),
            "b": cell("FDRE", Q=[4], D=[3], C=[9]),
        }
        self.assertEqual(self.rules(cells)["unregistered_dsps"], 1)
        cells["d"]["parameters"]["AREG"] = "1"
        self.assertEqual(self.rules(cells)["unregistered_dsps"], 0)

    def test_dsp_before_logic(self):
        cells = {
            "d": cell("DSP48E2", {}, A=["0"], B=["0"], P=[3]),
            "x": cell("LUT1", I0=[3], O=[4]),
            "b": cell("FDRE", Q=[5], D=[4], C=[9]),
        }
        self.assertEqual(self.rules(cells)["unregistered_dsps"], 1)
        cells["d"]["parameters"]["PREG"] = "1"
        self.assertEqual(self.rules(cells)["unregistered_dsps"], 0)

    def test_unknown_cell(self):
        self.assertEqual(self.rules({"u": cell("BUFGCE_DIV", O=[1])})["unknown_cells"], ["BUFGCE_DIV"])


class Crossings(unittest.TestCase):
    CLOCKS = {"clk_i": {"bits": [9]}, "pixel_clk_i": {"bits": [8]}}

    def naked(self, cells, ports=None):
        return crossings.naked(netlist.Netlist(module(cells, self.CLOCKS | (ports or {}))))

    def test_a_naked_crossing_is_refused(self):
        cells = {"a": cell("FDRE", Q=[1], D=["0"], C=[9]), "b": cell("FDRE", Q=[2], D=[1], C=[9]), "c": cell("FDRE", Q=[3], D=[3], C=[8])}
        self.assertEqual(self.naked(cells), [])
        cells["b"]["connections"]["C"] = [8]
        self.assertEqual(self.naked(cells), ["n1 to n2 (FDRE.D)"])
        # enables and resets cross as well
        for pin in ("CE", "R"):
            cells["b"]["connections"] |= {"D": [3], "CE": ["1"], "R": ["0"], pin: [1]}
            self.assertEqual(self.naked(cells), [f"n1 to n2 (FDRE.{pin})"])

    def test_from_a_launch_straight_into_a_capture(self):
        cells = {"a": cell("FDRE", Q=[1], D=["0"], C=[9]), "b": cell("FDRE", Q=[2], D=[1], C=[8])}
        for launch, capture, refused in (("launch", "capture", 0), ("launch", None, 1), (None, "capture", 1), ("capture", "launch", 1)):
            cells["a"]["attributes"] = {"crossing": launch} if launch else {}
            cells["b"]["attributes"] = {"crossing": capture} if capture else {}
            self.assertEqual(len(self.naked(cells)), refused, (launch, capture))
        # logic between the two may show what neither clock's registers hold
        cells["a"]["attributes"], cells["b"]["attributes"] = {"crossing": "launch"}, {"crossing": "capture"}
        cells["x"] = cell("LUT1", I0=[1], O=[3])
        cells["b"]["connections"]["D"] = [3]
        self.assertEqual(self.naked(cells), ["n3 to n2 (FDRE.D)"])

    def test_memories(self):
        pins = {"CLKARDCLK": [9], "CLKBWRCLK": [8], "ENBWREN": [2], "DINADIN": [2], "ADDRARDADDR": [1], "DOUTADOUT": [3]}
        cells = {
            "a": cell("FDRE", Q=[1], D=[3], C=[9]),
            "b": cell("FDRE", Q=[2], D=["0"], C=[8]),
            "m": cell("RAMB36E2", {"CLOCK_DOMAINS": "INDEPENDENT"}, **pins),
        }
        self.assertEqual(self.naked(cells), [])
        cells["m"]["parameters"]["CLOCK_DOMAINS"] = "COMMON"
        self.assertEqual(self.naked(cells), ["a block RAM with two clocks, made for one: m"])
        cells["m"] = cell("RAMB36E2", {"CLOCK_DOMAINS": "INDEPENDENT"}, **pins | {"ENBWREN": [1]})
        self.assertEqual(self.naked(cells), ["n1 to n3 (RAMB36E2.ENBWREN)"])
        # what distributed RAM holds belongs to its write clock, wherever its address comes from
        cells["m"] = cell("RAM32M16", ADDRA=[1], DIA=[2], WE=["1"], WCLK=[8], DOA=[3])
        self.assertEqual(self.naked(cells), ["n3 to n1 (FDRE.D)"])

    def test_ports(self):
        cells = {"a": cell("FDRE", Q=[1], D=[4], C=[9]), "b": cell("FDRE", Q=[2], D=[5], C=[8])}
        ports = {"x_i": {"bits": [4]}, "pixel_x_i": {"bits": [5]}, "x_o": {"bits": [1]}, "pixel_x_o": {"bits": [2]}}
        self.assertEqual(self.naked(cells, ports), [])
        ports["pixel_x_o"], ports["x_o"] = ports["x_o"], ports["pixel_x_o"]
        self.assertEqual(len(self.naked(cells, ports)), 2)
        ports = {"x_i": {"bits": [5]}, "pixel_x_i": {"bits": [4]}}
        self.assertEqual(self.naked(cells, ports), ["n4 to n1 (FDRE.D)", "n5 to n2 (FDRE.D)"])

    def test_a_clock_out_of_logic(self):
        cells = {"a": cell("FDRE", Q=[1], D=["0"], C=[9]), "x": cell("LUT1", I0=[9], O=[7]), "b": cell("FDRE", Q=[2], D=[1], C=[7])}
        self.assertEqual(self.naked(cells), ["a clock that is no port: n7"])

    def test_the_operand_c_of_a_dsp_is_no_clock(self):
        cells = {"a": cell("FDRE", Q=[7], D=["0"], C=[9]), "d": cell("DSP48E2", {"PREG": "1"}, C=[7], CLK=[9], P=[3])}
        self.assertEqual(netlist.clocks(netlist.Netlist(module(cells))), {9})


class Registers(unittest.TestCase):
    def test_block_ram_without_its_output_register(self):
        def short(**parameters):
            parameters = {name: format(value, "b") for name, value in parameters.items()}
            return netlist.analyse(module({"m": cell("RAMB36E2", parameters, DOUTADOUT=[1], CLKARDCLK=[9])}))["block_rams_short"]

        self.assertEqual(short(READ_WIDTH_A=36, DOA_REG=1), 0)
        self.assertEqual(short(READ_WIDTH_A=36, DOA_REG=0, DOB_REG=1), 1)
        # 72 bits leave through both ports
        self.assertEqual(short(READ_WIDTH_A=72, DOA_REG=1, DOB_REG=0), 1)
        self.assertEqual(short(READ_WIDTH_A=72, DOA_REG=1, DOB_REG=1), 0)

    def test_dsp_without_one_of_its_registers(self):
        def short(**parameters):
            return netlist.analyse(module({"d": cell("DSP48E2", parameters, A=[1], P=[2])}))["dsps_short"]

        every = {"AREG": "1", "BREG": "1", "MREG": "1", "PREG": "1"}
        self.assertEqual(short(**every), 0)
        self.assertEqual(short(**{**every, "MREG": "0"}), 1)

    def test_readers(self):
        def readers(driver):
            cells = {"a": driver}
            for i in range(70):
                cells[f"x{i}"] = cell("LUT1", I0=[1], O=[10 + i])
                cells[f"e{i}"] = cell("FDRE", Q=[100 + i], D=[10 + i], C=[9], CE=[1])
            result = netlist.analyse(module(cells))
            return [result[name] for name in ("register_readers", "registers_over", "logic_readers", "logic_over")]

        # enables are not counted; each of the LUTs has a reader
        self.assertEqual(readers(cell("FDRE", Q=[1], D=["0"], C=[9])), [70, 1, 1, 0])
        self.assertEqual(readers(cell("DSP48E2", P=[1])), [70, 1, 1, 0])
        self.assertEqual(readers(cell("RAMB36E2", DOUTADOUT=[1])), [70, 1, 1, 0])
        # nobody reads what the LUTs go to
        self.assertEqual(readers(cell("LUT1", I0=[2], O=[1])), [0, 0, 70, 1])

    def test_wide_reset(self):
        cells = {"x": cell("LUT2", I0=[1], I1=[2], O=[3])}
        for i in range(40):
            cells[f"wide{i}"] = cell("FDRE", Q=[100 + i], D=["1"], C=[9], R=[3])
            cells[f"own{i}"] = cell("FDRE", Q=[200 + i], D=["1"], C=[9], R=[2])
        cells["narrow"] = cell("FDRE", Q=[2], D=["1"], C=[9], R=[3])
        design = module(cells, {"rst_ni": {"bits": [1]}})
        for i in range(40):
            design["netnames"][f"n{100 + i}"] = {"bits": ["0"], "hide_name": 0}
        design["netnames"] |= {"wide_q": {"bits": list(range(100, 140)), "hide_name": 0}, "own_q": {"bits": list(range(200, 240)), "hide_name": 0}}
        # own_q is cleared by another register, and that the reset reaches one is no reset of it
        self.assertEqual(netlist.analyse(design)["wide_resets"], {"wide_q": 40})


class Limits(unittest.TestCase):
    result = {**dict.fromkeys(limits.NUMBERS, 5), "wide_resets": {"a_q": 40}}

    def test_over(self):
        self.assertEqual(limits.over(limits.figures(self.result), self.result), [])
        tight = {**limits.figures(self.result), "levels": 4, "wide_resets": {}}
        self.assertEqual(limits.over(tight, self.result), ["levels of logic: 5, 4 allowed", "reset of a wide register: a_q, 40 bits"])

    def test_limits_only_fall(self):
        before = {**dict.fromkeys(limits.NUMBERS, 6), "levels": 4, "wide_resets": {"a_q": 64, "b_q": 33}}
        after = limits.lowered(before, self.result)
        self.assertEqual((after["levels"], after["ends_over"], after["wide_resets"]), (4, 5, {"a_q": 40}))


class Hierarchy(unittest.TestCase):
    def test_modules_that_differ_in_names_alone_are_one(self):
        def leaf(name, gate, wire):
            return f"attribute \\hdlname \"{name}\"\nmodule \\leaf${name}\n  wire input 1 \\a\n  wire ${wire}\n  cell ${gate} ${wire}1\n  end\nend\n"

        top = "module \\top\n" + "".join(f"  cell \\leaf${name} \\u_{name}\n  end\n" for name in "abc") + "end\n"
        merged, before, after = hierarchy.merge(leaf("a", "and", "x") + leaf("b", "and", "y") + leaf("c", "or", "z") + top)
        self.assertEqual((before, after), (4, 3))
        self.assertIn("cell \\leaf$a \\u_b", merged)
        self.assertIn("cell \\leaf$c \\u_c", merged)
        self.assertNotIn("module \\leaf$b", merged)


if __name__ == "__main__":
    unittest.main()
