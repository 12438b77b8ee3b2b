//! A descriptor as one line of a listing.

use core::fmt;

use crate::{Common, Descriptor, Unit};

/// Tag of a descriptor that belongs to no node of the graph.
const NO_NODE: u32 = 0xffff;

/// ` name=value`, nothing where the value is zero.
fn write_field(f: &mut fmt::Formatter<'_>, name: &str, value: i128) -> fmt::Result {
    match value {
        0 => Ok(()),
        _ => write!(f, " {name}={value}"),
    }
}

/// Operation, fields that are not zero, then what it waits for: `load words=4 wait array>=-2`.
impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.name())?;
        for (field, value) in self.op.fields() {
            write_field(f, field.name, value)?;
        }
        self.common.fmt(f)
    }
}

/// The end of the line: waits, `chain`, `first`, and the tag of the graph's node.
impl fmt::Display for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.waits != 0 {
            f.write_str(" wait")?;
        }
        for &unit in Unit::ALL {
            if let Some(count) = self.wait(unit) {
                write!(f, " {}>={count}", unit.name())?;
            }
        }
        for (name, set) in [("chain", self.chain), ("first", self.first)] {
            if set {
                write!(f, " {name}")?;
            }
        }
        match self.tag {
            NO_NODE => Ok(()),
            tag => write_field(f, "tag", tag.into()),
        }
    }
}
