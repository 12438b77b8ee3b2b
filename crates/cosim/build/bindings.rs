//! From the ports in Verilator's header to a C shim and a Rust type.

use std::fmt::Write;

use super::Result;

/// A port of a top.
pub struct Port {
    name: String,
    input: bool,
    /// Bits.
    width: usize,
}

impl Port {
    /// The Rust type that holds it.
    fn rust(&self) -> String {
        match self.width {
            1 => "bool".into(),
            2..=8 => "u8".into(),
            9..=16 => "u16".into(),
            17..=32 => "u32".into(),
            33..=64 => "u64".into(),
            wide => format!("[u32; {}]", wide.div_ceil(32)),
        }
    }
}

/// The ports, from lines such as `VL_IN8(&clk_i,0,0);` and `VL_OUTW(&acc_o,1023,0,32);`.
pub fn ports(header: &str) -> Result<Vec<Port>> {
    let mut all = Vec::new();
    for line in header.lines().map(str::trim) {
        let Some(rest) = line.strip_prefix("VL_IN").or(line.strip_prefix("VL_OUT")) else {
            continue;
        };
        let inside = rest.split_once('(').and_then(|(_, r)| r.strip_suffix(");"));
        let inside = inside.ok_or_else(|| format!("port not understood: {line}"))?;
        if inside.contains('[') {
            return Err(format!("an unpacked array as a port is not supported: {line}").into());
        }
        let mut parts = inside.trim_start_matches('&').split(',');
        let mut part = || {
            parts
                .next()
                .ok_or_else(|| format!("port not understood: {line}"))
        };
        let name = part()?.to_owned();
        let (high, low): (usize, usize) = (part()?.parse()?, part()?.parse()?);
        all.push(Port {
            name,
            input: line.starts_with("VL_IN"),
            width: high - low + 1,
        });
    }
    Ok(all)
}

/// An array inside of a top that a test can look at: `tops/*.vlt` made it public, `--flatten` put it into the root.
pub struct Memory {
    /// In C++.
    member: String,
    /// As SystemVerilog writes it, below the top.
    path: String,
    /// Bits.
    width: usize,
    /// Words.
    depth: usize,
}

/// The arrays of names `mem` and `mem_q`, from lines such as
/// `VlUnpacked<VlWide<4>/*127:0*/, 1024> core__DOT__u_state__DOT__mem_q;`.
pub fn memories(root: &str) -> Result<Vec<Memory>> {
    let mut all = Vec::new();
    for line in root.lines().map(str::trim) {
        let Some(rest) = line.strip_prefix("VlUnpacked<") else {
            continue;
        };
        let parts = (|| {
            let (range, rest) = rest.split_once("/*")?.1.split_once("*/, ")?;
            let (depth, member) = rest.split_once("> ")?;
            Some((range.split_once(':')?.0, depth, member.strip_suffix(';')?))
        })();
        let Some((high, depth, member)) = parts else {
            continue;
        };
        let path = member
            .replace("__DOT__", ".")
            .replace("__BRA__", "[")
            .replace("__KET__", "]");
        let Some((_, path)) = path.split_once('.') else {
            continue;
        };
        if path.ends_with(".mem_q") || path.ends_with(".mem") {
            let (member, path) = (member.to_owned(), path.to_owned());
            all.push(Memory {
                member,
                path,
                width: high.parse::<usize>()? + 1,
                depth: depth.parse()?,
            });
        }
    }
    Ok(all)
}

/// C functions: make, delete, eval, the address and size of a port, and waveforms.
pub fn shim(name: &str, ports: &[Port], memories: &[Memory]) -> String {
    let mut cases = String::new();
    for (i, port) in ports.iter().enumerate() {
        let port = &port.name;
        let _ = writeln!(
            cases,
            "    case {i}: *size = sizeof(top->{port}); return &top->{port};"
        );
    }
    let mut arrays = String::new();
    for (i, memory) in memories.iter().enumerate() {
        let member = &memory.member;
        let _ = writeln!(
            arrays,
            "    case {i}: *size = sizeof(root->{member}[0]); return &root->{member}[0];"
        );
    }
    include_str!("shim.cpp.in")
        .replace("NAME", name)
        .replace("CASES", &cases)
        .replace("ARRAYS", &arrays)
}

/// The Rust type.
pub fn rust(name: &str, ports: &[Port], memories: &[Memory]) -> String {
    let type_name: String = name.split('_').map(capital).collect();
    let mut functions = String::new();
    let mut clock = None;
    for (i, port) in ports.iter().enumerate() {
        let (port_name, kind, bits) = (&port.name, port.rust(), port.width);
        if port_name == "clk_i" {
            clock = Some(i);
        }
        let _ = write!(
            functions,
            "    /// Port `{port_name}`, {bits} bits.\n    #[must_use]\n    pub fn {port_name}(&self) -> {kind} {{ self.0.get({i}) }}\n",
        );
        if port.input {
            let _ = write!(
                functions,
                "    /// Sets `{port_name}`, {bits} bits.\n    pub fn set_{port_name}(&mut self, value: {kind}) {{ self.0.set({i}, value) }}\n",
            );
        }
    }
    if let Some(clock) = clock {
        let _ = write!(
            functions,
            "{}",
            include_str!("tick.rs.in").replace("CLOCK", &clock.to_string())
        );
    }
    let arrays: Vec<_> = memories
        .iter()
        .map(|m| format!("({:?}, {}, {})", m.path, m.width, m.depth))
        .collect();
    let inputs: Vec<_> = ports.iter().map(|p| p.input.to_string()).collect();
    include_str!("top.rs.in")
        .replace("NAME", name)
        .replace("TYPE", &type_name)
        .replace("ARRAYS", &arrays.join(", "))
        .replace("INPUTS", &inputs.join(", "))
        .replace("METHODS", &functions)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}
