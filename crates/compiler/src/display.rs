//! Layers as text: what `--emit` and snapshots of the passes show.

use std::fmt;

use diffuser_model::graph::TensorId;

use crate::layer::{Layer, Layers, Work};

impl fmt::Display for Layers {
    /// One line a layer: what snapshots of the passes show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in &self.list {
            writeln!(f, "{layer}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[TensorId]| {
            let texts: Vec<String> = values.iter().map(|t| format!("%{t}")).collect();
            texts.join(" ")
        };
        match &self.work {
            Work::Norm(n) => write!(
                f,
                "norm      {} -> affine of %{}  groups {:?}",
                list(&n.streams),
                n.operand,
                n.parts
            )?,
            Work::Prep(p) => {
                write!(
                    f,
                    "prep      {} -> %{}  {:?} {}x{}",
                    list(&p.inputs),
                    p.output,
                    p.kind,
                    p.size[0],
                    p.size[1]
                )?;
                if let Some(r) = p.resample {
                    write!(f, " {r:?}")?;
                }
                if p.from_rows.iter().any(|&row| row > 0) {
                    write!(f, " rows {:?}", p.from_rows)?;
                }
                if p.sums {
                    f.write_str(" sums")?;
                }
            }
            Work::Conv(c) => {
                write!(
                    f,
                    "conv      %{} -> %{}  {:?} {}x{} kernel {} stride {}",
                    c.input, c.output, c.dest, c.size[0], c.size[1], c.kernel, c.stride
                )?;
                if let Some(r) = c.residual {
                    write!(f, " + %{r}")?;
                }
                let flags = [
                    ("phases", c.phases),
                    ("upsample", c.upsample),
                    ("sums", c.sums && !c.add_sums),
                    ("add_sums", c.add_sums),
                ];
                for (name, set) in flags {
                    if set {
                        write!(f, " {name}")?;
                    }
                }
                if c.to_row > 0 {
                    write!(f, " to row {}", c.to_row)?;
                }
                write!(f, " tiles {:?}", c.parts)?;
            }
            Work::Attention(a) => write!(
                f,
                "attention {} -> %{}  heads {} blocks {} pixels {}",
                list(&a.inputs),
                a.output,
                a.heads,
                a.head_blocks,
                a.pixels
            )?,
            Work::Sample(s) => {
                write!(f, "sample    %{}", s.stream)?;
                if s.row > 0 || s.state.is_some() {
                    write!(f, " {} rows from {}", s.rows, s.row)?;
                }
            }
            Work::Store(t) => write!(
                f,
                "store     %{} -> ddr %{} row {}",
                t.stream, t.home, t.row
            )?,
            Work::Load(t) => write!(
                f,
                "load      ddr %{} row {} -> %{}",
                t.home, t.row, t.stream
            )?,
            Work::StoreState(t) => write!(f, "store     %{} -> state row {}", t.stream, t.row)?,
            Work::LoadState(t) => write!(f, "load      state row {} -> %{}", t.row, t.stream)?,
        }
        if self.image > 0 {
            write!(f, "  image {}", self.image)?;
        }
        write!(f, "  # {}", self.name)
    }
}
