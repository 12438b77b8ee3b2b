//! A program as text for people: one line a descriptor, with the names of the layers.

use std::fmt::Write;

use diffuser_isa::Descriptor;

/// One line a descriptor: its index, the operation with its fields and waits, the name of the node.
#[must_use]
pub fn listing(program: &[Descriptor], names: &[String]) -> String {
    let mut text = String::new();
    for (i, descriptor) in program.iter().enumerate() {
        let tag = descriptor.common.tag;
        let mut plain = *descriptor;
        // the name says it better
        plain.common.tag = crate::schedule::NO_NODE;
        let _ = write!(text, "{i:5}  {plain}");
        if let Some(name) = names.get(tag as usize) {
            let _ = write!(text, "  # {name}");
        }
        text.push('\n');
    }
    text
}
