"""Netlists made by hand: what netlist.py counts. Run: python hw/synth/test_netlist.py"""

import unittest

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
            cells[f"c{i}"] = cell("CARRY4", CI=[carry] if i else ["0"], S=[1, 1, 1, 1], DI=["0"] * 4, O=out, CO=co)
            carry = co[3]
        cells["b"] = cell("FDRE", Q=[200], D=[out[3]], C=[9])
        result = netlist.analyse(module(cells))
        self.assertEqual(result["levels"], 1)
        self.assertEqual(result["longest_carry"], 40)

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


if __name__ == "__main__":
    unittest.main()
